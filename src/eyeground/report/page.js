// Everything but the opacity slider works without this script.
const slider = document.getElementById("opacity");
if (slider) {
  const box = slider.closest(".opacity");
  box.hidden = false;
  slider.addEventListener("input", () => {
    document.documentElement.style.setProperty("--opacity", slider.value / 100);
    box.querySelector("output").textContent = slider.value + " %";
  });
}
