"""The widgets' stylesheet. It travels with every widget, so that one looks right where the book's own is absent.

Colors are those of `fixmatch_lite.plots.COLORS` (a test compares them). Taught in: book/notation.md.
"""

LIGHT = {
    "labeled": "#0072B2", "kept": "#009E73", "dropped": "#8A8A8A", "wrong": "#D55E00", "accuracy": "#AA3377",
    # Text in these colors needs more contrast than a mark does.
    "kept-text": "#00734F", "wrong-text": "#A84600", "accuracy-text": "#97286A", "labeled-text": "#00619A",
    "ink": "#22262B", "muted": "#5A6068", "card": "#FCFBF8", "raised": "#FFFFFF", "line": "#DDD8CE", "edge": "#85898F",
}
DARK = {
    "labeled": "#56B4E9", "kept": "#2FC79A", "dropped": "#9AA0A6", "wrong": "#FF8A4C", "accuracy": "#E07BB5",
    "kept-text": "#2FC79A", "wrong-text": "#FF9B66", "accuracy-text": "#E893C3", "labeled-text": "#7CC5F0",
    "ink": "#DEDBD4", "muted": "#A6ABB2", "card": "#1A2026", "raised": "#232A31", "line": "#39414A", "edge": "#7E868F",
}


def _variables(colors):
    return " ".join(f"--fm-{name}: {value};" for name, value in colors.items())


# The book switches with data-theme, JupyterLab with an attribute of body, Colab with one of html, VS Code with a
# class; only where none of them says anything does the system's own setting decide. Paper is white.
_TOLD_DARK = ('html[data-theme="dark"] .fm-widget, html[theme="dark"] .fm-widget, body[data-jp-theme-light="false"] .fm-widget, '
              "body.vscode-dark .fm-widget")
_UNTOLD = 'html:not([data-theme]):not([theme]) body:not([data-jp-theme-light]):not([class*="vscode"]) .fm-widget'
CSS = f"""
.fm-widget {{ {_variables(LIGHT)} color-scheme: light; }}
{_TOLD_DARK} {{ {_variables(DARK)} color-scheme: dark; }}
@media (prefers-color-scheme: dark) {{
  {_UNTOLD} {{ {_variables(DARK)} color-scheme: dark; }}
}}
@media print {{
  {_TOLD_DARK}, {_UNTOLD} {{ {_variables(LIGHT)} color-scheme: light; }}
}}
""" + """
.fm-widget { box-sizing: border-box; margin: 1rem 0; padding: .8rem 1rem .6rem; max-width: 100%; min-width: 0;
  background: var(--fm-card); color: var(--fm-ink); border: 1px solid var(--fm-line); border-radius: 8px;
  font: 400 15px/1.4 var(--fm-sans, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif);
  font-variant-numeric: tabular-nums; text-align: left; overflow-wrap: break-word; }
.fm-widget *, .fm-widget *::before { box-sizing: border-box; }
.fm-widget p { margin: .3rem 0; max-width: none; }
.fm-widget .fm-title { font-weight: 640; font-size: 1rem; margin: 0 0 .15rem; }
.fm-widget .fm-lead, .fm-widget .fm-note { color: var(--fm-muted); font-size: .9em; }
.fm-widget svg, .fm-widget canvas { display: block; max-width: 100%; height: auto; background: none; }
.fm-widget svg { width: 100%; overflow: visible; }
.fm-widget svg text { fill: var(--fm-ink); font-family: inherit; font-size: 12.5px; }
.fm-widget svg text.fm-muted { fill: var(--fm-muted); }
.fm-widget svg text.fm-halo { paint-order: stroke; stroke: var(--fm-card); stroke-width: 4px; stroke-linejoin: round; }
.fm-controls { display: flex; flex-wrap: wrap; gap: .35rem 1.1rem; align-items: end; margin: .35rem 0; }
.fm-control { display: grid; grid-template-columns: 1fr auto; gap: 0 .5rem; flex: 1 1 8.5rem; min-width: 0; max-width: 22rem; }
.fm-control > label { font-size: .9em; color: var(--fm-ink); }
.fm-control > output { font-size: .9em; font-weight: 640; text-align: right; min-width: 3ch; }
.fm-control > input, .fm-control > select { grid-column: 1 / -1; width: 100%; }
.fm-widget input[type="range"] { appearance: none; -webkit-appearance: none; height: 36px; margin: 0; padding: 0;
  background: none; cursor: pointer; touch-action: pan-y; border: 0; }
.fm-widget input[type="range"]::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: var(--fm-edge); }
.fm-widget input[type="range"]::-moz-range-track { height: 4px; border-radius: 2px; background: var(--fm-edge); }
.fm-widget input[type="range"]::-webkit-slider-thumb { -webkit-appearance: none; width: 20px; height: 20px; margin-top: -8px;
  border-radius: 50%; background: var(--fm-labeled); border: 2px solid var(--fm-card); box-shadow: 0 0 0 1px var(--fm-edge); }
.fm-widget input[type="range"]::-moz-range-thumb { width: 16px; height: 16px; border-radius: 50%;
  background: var(--fm-labeled); border: 2px solid var(--fm-card); box-shadow: 0 0 0 1px var(--fm-edge); }
.fm-widget :is(button, select, input[type="number"]) { font: inherit; font-size: .93em; color: var(--fm-ink);
  background: var(--fm-raised); border: 1px solid var(--fm-edge); border-radius: 6px; min-height: 36px; padding: .2rem .7rem; margin: 0; }
.fm-widget button { cursor: pointer; white-space: nowrap; }
.fm-widget button:hover { border-color: var(--fm-labeled); }
.fm-widget button[aria-pressed="true"], .fm-widget button.fm-main { background: var(--fm-labeled-text); border-color: var(--fm-labeled-text);
  color: var(--fm-card); font-weight: 640; }
.fm-widget button:disabled { background: var(--fm-raised); color: var(--fm-muted); border: 1px dashed var(--fm-edge); font-weight: 400; cursor: default; }
.fm-widget input[type="range"]:disabled { opacity: .4; cursor: default; }
.fm-widget :is(button, select, input, summary, a, [tabindex]):focus-visible { outline: 3px solid var(--fm-labeled); outline-offset: 2px; }
.fm-widget .fm-control > :focus-visible { outline-offset: -2px; }  /* further out it would cross its label */
.fm-widget select { overflow: hidden; text-overflow: ellipsis; }  /* WebKit counts a long choice as the figure's width */
.fm-buttons { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; margin: .3rem 0; }
.fm-foot { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: start; justify-content: space-between;
  margin-top: .4rem; border-top: 1px solid var(--fm-line); padding-top: .25rem; font-size: .88em; }
.fm-foot details { flex: 1 1 auto; min-width: 0; max-width: 100%; }
.fm-widget summary { cursor: pointer; color: var(--fm-ink); min-height: 32px; padding: .35rem 0; font-size: 1em; }
.fm-widget .fm-foot button { border: 0; background: none; color: var(--fm-ink); text-decoration: underline; text-underline-offset: .16em;
  padding: .2rem 0; min-height: 32px; font-size: 1em; }
.fm-scroll { overflow: auto; max-height: 20rem; max-width: 100%; }
.fm-widget table { border-collapse: collapse; font-size: .93em; margin: .2rem 0; width: auto; color: inherit; background: none; }
.fm-widget :is(th, td) { padding: .18rem .6rem; text-align: right; border: 0; border-bottom: 1px solid var(--fm-line); font-weight: 400;
  background: none; color: inherit; white-space: nowrap; }
.fm-widget th { color: var(--fm-muted); font-weight: 600; }
.fm-widget :is(th, td):first-child { text-align: left; padding-left: 0; }
.fm-wide > .fm-control { flex-basis: 100%; max-width: none; }
.fm-numbers { display: flex; flex-wrap: wrap; gap: .15rem 1.4rem; margin: 0; padding: .3rem 0; }
.fm-numbers > div { display: flex; gap: .4rem; align-items: baseline; }
/* Themes give lists margins of their own, with selectors stronger than any widget ought to write. */
.fm-widget :is(dl, dt, dd, ul, li) { margin-block: 0 !important; margin-inline: 0 !important; padding: 0; }
.fm-numbers dt { font-weight: 400; }
.fm-numbers dt { color: var(--fm-muted); font-size: .9em; }
.fm-numbers dd { font-weight: 640; }
.fm-labeled { color: var(--fm-labeled-text); } .fm-kept { color: var(--fm-kept-text); }
.fm-wrong { color: var(--fm-wrong-text); } .fm-accuracy { color: var(--fm-accuracy-text); } .fm-muted { color: var(--fm-muted); }
.fm-key { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .86em; color: var(--fm-muted); margin: 0; padding: .2rem 0; list-style: none; }
.fm-key > li { display: flex; gap: .35rem; align-items: center; }
.fm-widget .fm-key svg { width: 16px; height: 16px; flex: none; }
.fm-sheet { display: flex; flex-wrap: wrap; gap: .4rem .2rem; }
.fm-sheet > span { flex: 0 0 72px; text-align: center; font-size: 12px; color: var(--fm-muted); }
.fm-widget .fm-sheet img { display: block; width: 48px; height: 48px; margin: 0 auto; padding: 0 !important; border: 0;
  border-radius: 3px; image-rendering: pixelated; }
.fm-widget .fm-still thead th { white-space: normal; }
.fm-hidden { position: absolute !important; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.fm-widget fieldset { border: 0; padding: 0; margin: .3rem 0 .9rem; min-width: 0; }
.fm-widget legend { font-weight: 600; padding: 0; margin-bottom: .2rem; font-size: 1em; width: auto; float: none; }
.fm-choice { display: flex; gap: .55rem; align-items: flex-start; min-height: 36px; padding: .4rem .3rem; cursor: pointer; border-radius: 6px; margin: 0; }
.fm-choice:hover { background: var(--fm-raised); }
.fm-choice input { margin: .2rem 0 0; width: 18px; height: 18px; flex: none; accent-color: var(--fm-labeled-text); }
.fm-why { margin: 0 0 .3rem 2.1rem; font-size: .93em; }
.fm-widget code { font-size: .9em; color: inherit; background: var(--fm-raised); padding: 0 .25em; border-radius: 3px; border: 0; }
@media (max-width: 480px) { .fm-widget { padding: .65rem .7rem .45rem; }
  .fm-widget input[type="range"], .fm-widget :is(button, select, input[type="number"]) { min-height: 44px; } .fm-choice { min-height: 44px; } }
@media print { .fm-buttons, .fm-foot, .fm-widget input[type="range"] { display: none; } }
"""
