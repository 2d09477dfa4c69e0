/**
 * `count` points spread evenly over the box [−1, 1]^width, one after the other: where k-means starts.
 *
 * Point i has the coordinates 2·frac(i · √p) − 1 for the first `width` primes p. Looks at no data, has no seed to
 * choose, holds in any dimension, and is the same on every machine because √ is exactly rounded.
 *
 * @throws RangeError when count or width is below 1
 * @see Richtmyer 1951; Niederreiter 1992, Random Number Generation and Quasi-Monte Carlo Methods, chapter 3
 */
export function spread(count: number, width: number): Float64Array {
  if (count < 1 || width < 1) throw new RangeError(`count and width must be at least 1, got ${count} and ${width}`);
  const steps = firstPrimes(width).map(Math.sqrt);
  const points = new Float64Array(count * width);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < width; j++) points[i * width + j] = 2 * (((i + 1) * steps[j]!) % 1) - 1;
  }
  return points;
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) {
    if (!hasDivisor(n, primes)) primes.push(n);
  }
  return primes;
}

function hasDivisor(n: number, primes: readonly number[]): boolean {
  for (const p of primes) {
    if (p * p > n) return false;
    if (n % p === 0) return true;
  }
  return false;
}
