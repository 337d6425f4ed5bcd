"""What the live lab looks like: trials in, HTML out. It needs no kernel and no script. Taught in: chapter 10."""

import base64
import html
import struct
import zlib

from .plots import COLORS, INK, PAPER

PANELS = (("test_accuracy", "test accuracy", "accuracy"), ("mask_rate", "kept (mask rate)", "kept"),
          ("pseudo_label_accuracy", "right among the kept", "labeled"))
VERDICTS = {"kept & right": ("kept", "▲"), "kept & wrong": ("wrong", "✕"), "dropped": ("dropped", "○"),
            "kept": ("kept", "▲")}  # the last: kept, and nobody knows the truth
DASHES = ("7 3", "2 3", "9 3 2 3")


def draw_lab(trials, error=None):
    """HTML of a list of `Trial`: three curves, the legend with the numbers, and the images in view."""
    shown = [trial for trial in trials if trial.metrics]
    parts = []
    if shown:
        parts.append("".join(_panel(shown, *panel) for panel in PANELS))
        parts.append("".join(_legend(trial, k, trial is shown[-1]) for k, trial in enumerate(shown)))
        parts.append(_digits(shown[-1]))
    elif not error:
        waits = trials and trials[-1].state in ("training", "waiting")
        parts.append("<div>Training; the first evaluation is on its way.</div>" if waits else
                     "<div>Nothing trained yet: press Start.</div>")
    if error:
        parts.append(f'<div role="alert" style="color:{COLORS["wrong"]}"><b>✕ The training failed.</b> '
                     f"{html.escape(error)}</div>")
    return (f'<div class="fm-lab" style="background:{PAPER};color:{INK};padding:10px;border-radius:6px;'
            f'font:13px/1.45 sans-serif;max-width:760px">{"".join(parts)}</div>')


def percent(share):
    return "none" if share is None else f"{100 * share:.1f} %"


def _panel(trials, key, title, color):
    width, height, left, top = 232, 150, 30, 22
    steps = max(trial.recipe.steps for trial in trials)
    x = lambda step: left + (width - left - 8) * step / steps
    y = lambda share: top + (height - top - 20) * (1 - share)
    lines = [f'<text x="{left}" y="13" font-size="12">{title}</text>']
    for share in (0, 0.5, 1):
        lines.append(f'<path d="M{left} {y(share):.1f}H{width - 8}" stroke="#E4E1DA"/><text x="{left - 4}" '
                     f'y="{y(share) + 4:.1f}" font-size="10" text-anchor="end">{share:.0%}</text>')
    lines.append(f'<text x="{width - 8}" y="{height - 5}" font-size="10" text-anchor="end">step {steps}</text>')
    for k, trial in enumerate(trials):
        now = trial is trials[-1]
        known = [(m.step, getattr(m, key)) for m in trial.metrics if getattr(m, key) is not None]
        points = " ".join(f"{x(step):.1f},{y(share):.1f}" for step, share in known)
        lines.append(f'<polyline points="{points}" fill="none" stroke="{COLORS[color]}" opacity="{1 if now else 0.45}" '
                     f'stroke-width="{2.4 if now else 1.2}" stroke-dasharray="{"" if now else _dash(k)}"/>')
    told = "; ".join(f"{trial.name}: {percent(getattr(trial.metrics[-1], key))}" for trial in trials)
    return (f'<svg role="img" aria-label="{title} against the step; last values: {told}" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" fill="{INK}" style="max-width:100%">'
            f'{"".join(lines)}</svg>')


def _dash(k):
    return DASHES[k % len(DASHES)]


def _legend(trial, k, now):
    m = trial.metrics[-1]
    line = (f'<svg width="34" height="10" aria-hidden="true"><path d="M1 5H33" stroke="{INK}" '
            f'stroke-width="{2.4 if now else 1.2}" stroke-dasharray="{"" if now else _dash(k)}"/></svg>')
    text = (f"{trial.name}: step {m.step} of {trial.recipe.steps} ({trial.state}), test accuracy "
            f"{percent(m.test_accuracy)}, kept {percent(m.mask_rate)}, right among the kept "
            f"{percent(m.pseudo_label_accuracy)}")
    return f"<div>{line} {f'<b>{text}</b>' if now else text}</div>"


def _digits(trial):
    cards = []
    for image, name, confidence, verdict in trial.judged:
        color, mark = VERDICTS[verdict]
        name = html.escape(name)
        look = "dashed" if verdict == "dropped" else "solid"
        cards.append(f'<div style="width:54px;text-align:center;border:2px {look} {COLORS[color]};'
                     f'border-radius:4px;padding:2px"><img width="44" height="44" '
                     f'style="image-rendering:pixelated;margin:0" src="{_png(image)}" alt="pseudo-label {name}, '
                     f'confidence {confidence:.2f}, {html.escape(verdict)}"><div><b>{name}</b> {confidence:.2f} '
                     f'<span style="color:{COLORS[color]}">{mark}</span></div></div>')
    key = ", ".join(f"{mark} {html.escape(verdict)}" for verdict, (_, mark) in VERDICTS.items()
                    if verdict in ("dropped",) or any(verdict == card[3] for card in trial.judged))
    return (f'<div style="margin-top:6px">Weak views of unlabeled images, with pseudo-label and confidence ({key}):'
            f'</div><div style="display:flex;flex-wrap:wrap;gap:4px">{"".join(cards)}</div>')


def _png(image):
    """A uint8 ``(C, H, W)`` image, C 1 or 3, as a data address: a PNG of three chunks."""
    channels, height, width = image.shape
    rows = image.permute(1, 2, 0).reshape(height, -1).contiguous()
    raw = b"".join(b"\0" + bytes(row) for row in rows.tolist())
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = b"".join(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
                      for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")))
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()
