// The line through the labeled students, and how far it misses the others.
export function leastSquares(x, y) {
  const n = x.length,
    mx = x.reduce((a, b) => a + b, 0) / n,
    my = y.reduce((a, b) => a + b, 0) / n;
  let sxx = 0,
    sxy = 0;
  x.forEach((v, i) => {
    sxx += (v - mx) ** 2;
    sxy += (v - mx) * (y[i] - my);
  });
  const slope = sxx ? sxy / sxx : 0; // all at the same hour: no slope can be told
  return { slope, intercept: my - slope * mx };
}

export function fit(state) {
  const on = [...state.labeled.keys()].filter((i) => state.labeled[i]),
    off = [...state.labeled.keys()].filter((i) => !state.labeled[i]);
  const line = leastSquares(
    on.map((i) => state.movedX[i]),
    on.map((i) => state.moved[i]),
  );
  const misses = off.map((i) => Math.abs(state.y[i] - line.intercept - line.slope * state.x[i]));
  return { ...line, labeled: on.length, error: off.length ? misses.reduce((a, b) => a + b, 0) / off.length : null };
}
