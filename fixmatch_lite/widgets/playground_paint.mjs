// How the playground looks: its styles, and one panel drawn on a canvas from what its network says of the plane.
export const WINDOW = [1.9, 1.5]; // what is seen of the plane: as far as this on each side of the middle
const [X, Y] = WINDOW;
const FINE = [52, 41],
  COARSE = [34, 27]; // the raster it is judged on; coarse while a slow machine trains
export const STYLE = `
.fm-panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .7rem; margin: 0 0 .2rem; }
.fm-panel { min-width: 0; } .fm-panel .fm-name { font: inherit; font-weight: 640; margin: 0 0 .15rem; display: flex; justify-content: space-between; gap: .4rem; }
.fm-panel .fm-name b { font-weight: 700; color: var(--fm-accuracy-text); } .fm-panel canvas { width: 100%; border: 1px solid var(--fm-line); border-radius: 6px; aspect-ratio: ${X} / ${Y}; }
.fm-stage { position: relative; display: flex; } .fm-widget .fm-stage button.fm-handle { position: absolute; width: 32px; height: 32px; min-width: 0; min-height: 0; margin: -16px 0 0 -16px; padding: 0; border: 0; border-radius: 50%; background: none; cursor: grab; touch-action: none; }
.fm-panel p { font-size: .86em; margin: .15rem 0 0; min-height: 1.4em; }
.fm-strip[hidden] { display: none; } .fm-widget .fm-strip svg { height: 30px; } .fm-strip p { min-height: 0; }
.fm-narrow .fm-bar button { padding: .2rem .55rem; } .fm-narrow .fm-bar .fm-control { flex: 1 1 9rem; }
.fm-tabs { display: none; gap: .3rem; margin: 0 0 .35rem; } .fm-widget .fm-tabs button { flex: 1 1 0; min-width: 0; padding: .2rem .1rem; white-space: normal; line-height: 1.15; font-size: .88em; }
.fm-narrow .fm-tabs { display: flex; } .fm-narrow .fm-panel .fm-name { display: none; } .fm-narrow .fm-panels { grid-template-columns: minmax(0, 1fr); } .fm-narrow .fm-panel:not([data-shown]) { display: none; }
.fm-bar { display: flex; flex-wrap: wrap; gap: .4rem .6rem; align-items: center; justify-content: space-between; } .fm-bar .fm-control { flex: 0 1 11rem; }
.fm-bar label { position: absolute; clip-path: inset(50%); } .fm-bar .fm-control { display: block; }
.fm-sliders .fm-control { flex-basis: 7.5rem; } .fm-sliders input[type="range"] { height: 32px; }`;

// Whether the machine is slow: where frames are more than 28 ms apart, less is trained and drawn coarser, for the sake
// of 30 frames a second on a phone. Once slow, slow until the next start, lest it go to and fro.
export function pacer() {
  const pace = { slow: false, frame };
  let last = 0,
    mean = 0;
  function frame(now) {
    const gap = now - last;
    last = now;
    if (gap < 200) mean += 0.1 * (gap - mean); // a longer one was a pause
    pace.slow ||= mean > 28;
  }
  return pace;
}

export function readColors(root) {
  const style = getComputedStyle(root),
    probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true }),
    get = (n) => style.getPropertyValue(`--fm-${n}`).trim();
  const rgb = (color) => {
    probe.fillStyle = color;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const dark = rgb(get("card"))[0] < 128;
  return {
    ink: get("ink"),
    labeled: get("labeled"),
    kept: get("kept"),
    wrong: get("wrong"),
    dropped: get("dropped"),
    card: get("card"),
    paper: rgb(get("card")),
    // Two quiet tints that are none of the book's five colors; they differ in lightness too.
    tint: dark
      ? [
          [48, 44, 76],
          [70, 61, 34],
        ]
      : [
          [216, 210, 238],
          [249, 236, 198],
        ],
    letter: dark ? "#14181D" : "#FFFFFF",
  };
}

export function paint(view, learner, colors, coarse) {
  const { canvas, raster, judged } = view,
    [COLS, ROWS] = coarse ? COARSE : FINE,
    field = (view.field ||= new Float32Array(FINE[0] * FINE[1])),
    { net, points, labeled, options } = learner;
  const W = canvas.clientWidth,
    H = (W * Y) / X,
    dpr = Math.min(coarse ? 1 : 2, devicePixelRatio || 1);
  if (canvas.width !== Math.round(W * dpr)) {
    canvas.width = Math.round(W * dpr);
    canvas.height = Math.round(H * dpr);
  }
  raster.width = COLS;
  raster.height = ROWS;
  const g = canvas.getContext("2d"),
    soft = raster.getContext("2d"),
    image = soft.createImageData(COLS, ROWS);
  for (let r = 0, i = 0; r < ROWS; r++)
    for (let c = 0; c < COLS; c++, i++) {
      const q = (field[i] = net.forward(-X + (2 * X * c) / (COLS - 1), Y - (2 * Y * r) / (ROWS - 1)));
      const tint = colors.tint[q >= 0.5 ? 1 : 0],
        sure = Math.max(q, 1 - q);
      const a = sure >= options.tau ? 1 : 0.55 * ((sure - 0.5) / Math.max(0.01, options.tau - 0.5)); // full where it is sure enough
      for (let k = 0; k < 3; k++) image.data[4 * i + k] = colors.paper[k] + a * (tint[k] - colors.paper[k]);
      image.data[4 * i + 3] = 255;
    }
  soft.putImageData(image, 0, 0);
  g.setTransform(dpr, 0, 0, dpr, 0, 0);
  const cw = W / (COLS - 1),
    ch = H / (ROWS - 1);
  g.drawImage(raster, -cw / 2, -ch / 2, W + cw, H + ch);
  // The boundary: where the two classes are equally likely, along the raster's cells.
  g.strokeStyle = colors.ink;
  g.lineWidth = 1.6;
  g.beginPath();
  for (let r = 0; r + 1 < ROWS; r++)
    for (let c = 0; c + 1 < COLS; c++) {
      const i = r * COLS + c,
        v = [field[i] - 0.5, field[i + 1] - 0.5, field[i + COLS + 1] - 0.5, field[i + COLS] - 0.5],
        cut = [];
      for (let e = 0; e < 4; e++) {
        const a = v[e],
          b = v[(e + 1) % 4];
        if (a < 0 === b < 0) continue;
        const t = a / (a - b);
        cut.push(
          [
            [c + t, r],
            [c + 1, r + t],
            [c + 1 - t, r + 1],
            [c, r + 1 - t],
          ][e],
        );
      }
      for (let k = 0; k + 1 < cut.length; k += 2) {
        g.moveTo(cut[k][0] * cw, cut[k][1] * ch);
        g.lineTo(cut[k + 1][0] * cw, cut[k + 1][1] * ch);
      }
    }
  g.stroke();
  const at = (a, b) => [((a + X) / (2 * X)) * W, ((Y - b) / (2 * Y)) * H],
    u = Math.max(2.4, W / 95);
  // All marks of a kind in one path: a fill or a stroke of its own for each costs a slow machine twice the time.
  const dropped = new Path2D(),
    kept = new Path2D(),
    wrong = new Path2D();
  for (let i = 0; i < points.n; i++) {
    const [x, y] = at(points.x[2 * i], points.x[2 * i + 1]),
      status = learner.method === "supervised" ? 0 : judged.status[i];
    if (status === 1) {
      kept.moveTo(x, y - 1.2 * u);
      kept.lineTo(x + 1.15 * u, y + 0.9 * u);
      kept.lineTo(x - 1.15 * u, y + 0.9 * u);
    } else if (status === 2) {
      wrong.moveTo(x - u, y - u);
      wrong.lineTo(x + u, y + u);
      wrong.moveTo(x + u, y - u);
      wrong.lineTo(x - u, y + u);
    } else {
      dropped.moveTo(x + 0.75 * u, y);
      dropped.arc(x, y, 0.75 * u, 0, 7);
    }
  }
  g.strokeStyle = colors.dropped;
  g.lineWidth = 1.1;
  g.stroke(dropped);
  g.fillStyle = colors.kept;
  g.fill(kept);
  g.strokeStyle = colors.wrong;
  g.lineWidth = 2;
  g.stroke(wrong);
  const size = Math.max(7.5, W / 32);
  g.textAlign = "center";
  g.textBaseline = "middle";
  g.font = `700 ${1.25 * size}px system-ui, sans-serif`;
  for (const l of labeled) {
    const [x, y] = at(l.a, l.b);
    g.beginPath();
    g.arc(x, y, size, 0, 7);
    g.fillStyle = colors.labeled;
    g.fill();
    g.strokeStyle = colors.card;
    g.lineWidth = 1.5;
    g.stroke();
    g.fillStyle = colors.letter;
    g.fillText("AB"[l.y], x, y + 0.5);
  }
}
