// A round distance between the marks of an axis that ends at `most`: about four of them.
export function nice(most) {
  const raw = most / 4, power = 10 ** Math.floor(Math.log10(Math.max(1, raw)));
  return Math.max(1, [1, 2, 5, 10].find((m) => m * power >= raw) * power);
}
