// Labels, contours and every number work without this script; it adds the opacity slider and the keys.
const slider = document.getElementById("opacity");
if (slider) {
  const box = slider.closest(".opacity");
  const dim = () => {
    document.documentElement.style.setProperty("--opacity", slider.value / 100);
    box.querySelector("output").textContent = slider.value + " %";
  };
  box.hidden = false;
  slider.addEventListener("input", dim);
  document.querySelector(".keys").hidden = false;
  const picks = [...document.querySelectorAll('input[name="map"]')];
  const step = (by) => {
    const at = picks.findIndex((pick) => pick.checked);
    picks[(at + by + picks.length) % picks.length].checked = true;
  };
  const does = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), 0: () => { picks.at(-1).checked = true; } };
  picks.slice(0, -1).slice(0, 9).forEach((pick, index) => { does[index + 1] = () => { pick.checked = true; }; });
  does.c = does.C = () => { const lines = document.getElementById("contours"); lines.checked = !lines.checked; };
  does["+"] = does["="] = () => { slider.stepUp(2); dim(); };
  does["-"] = () => { slider.stepDown(2); dim(); };
  document.addEventListener("keydown", (event) => {
    const own = event.key.startsWith("Arrow") && event.target.tagName === "INPUT"; // slider and buttons move by themselves
    if (own || event.ctrlKey || event.altKey || event.metaKey || !Object.hasOwn(does, event.key)) return;
    event.preventDefault();
    does[event.key]();
  });
}
