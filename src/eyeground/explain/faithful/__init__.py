"""Whether maps are faithful: does a map say what moved the score, and does it hang on what the network has learnt?

| file | question | source |
|---|---|---|
| `curves` | does the score fall when the map's places go, rise when they come? | Petsiuk et al., BMVC 2018 |
| `road`, `impute` | the same without the edges that removed pixels leave | Rong et al., ICML 2022 |
| `randomise`, `similar` | does the map change when the weights are random? | Adebayo et al., NeurIPS 2018 |
| `stability` | does the map go along when the picture moves a little? | |

`sources` names the maps that are held to it: every explainer, and controls whose answer is known beforehand.
Everything happens on the pixels of a view, and only within its field of view.
"""
