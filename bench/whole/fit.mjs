// Does cost grow as it should? Least squares with relative errors: a point of a millisecond counts as much as one of
// a second.

/** Solves a small linear system by elimination with pivoting. */
function solve(matrix, right) {
  const n = right.length;
  const rows = matrix.map((row, i) => [...row, right[i]]);
  for (let i = 0; i < n; i++) {
    const pivot = rows
      .slice(i)
      .reduce((best, row, k) => (Math.abs(row[i]) > Math.abs(rows[best][i]) ? i + k : best), i);
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    for (let k = i + 1; k < n; k++) {
      const factor = rows[k][i] / rows[i][i];
      for (let j = i; j <= n; j++) rows[k][j] -= factor * rows[i][j];
    }
  }
  const found = new Array(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    const rest = found.reduce((sum, value, j) => (j > i ? sum + rows[i][j] * value : sum), 0);
    found[i] = (rows[i][n] - rest) / rows[i][i];
  }
  return found;
}

/**
 * Fits `cost = sum of coefficient * term` to points `{ terms, cost }` of positive costs. Returns the coefficients, the
 * share of the variance of log(cost) that the fit explains (R^2), and the largest factor between a point and the fit.
 */
export function fitLinear(points) {
  const n = points[0].terms.length;
  const matrix = Array.from({ length: n }, () => new Array(n).fill(0));
  const right = new Array(n).fill(0);
  for (const { terms, cost } of points) {
    for (let i = 0; i < n; i++) {
      right[i] += terms[i] / cost;
      for (let j = 0; j < n; j++) matrix[i][j] += (terms[i] * terms[j]) / cost ** 2;
    }
  }
  const coefficients = solve(matrix, right);
  const logs = points.map(({ cost }) => Math.log(cost));
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  let [explained, all, worst] = [0, 0, 1];
  for (const [i, { terms }] of points.entries()) {
    const predicted = terms.reduce((sum, term, k) => sum + term * coefficients[k], 0);
    const error = logs[i] - Math.log(Math.max(predicted, Number.MIN_VALUE));
    explained += error ** 2;
    all += (logs[i] - mean) ** 2;
    worst = Math.max(worst, Math.exp(Math.abs(error)));
  }
  return { coefficients, rSquared: 1 - explained / all, worst };
}
