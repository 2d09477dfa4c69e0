/**
 * How loud the noise of one round is beside the loudest that the contributions could be.
 *
 *   what is released of a round:   (Σ clipped vectors + noise) / contributions
 *   largest signal                 clipNorm, when every vector is at its bound and all point the same way
 *   its noise                      σ·√dimension / contributions long, root mean square
 *
 * Above 1 no round can show anything by itself. Real signals are far below the largest; rounds average the noise out.
 */
export interface NoiseToSignal {
  /** contributions a sum is divided by */
  readonly contributions: number;
  /** length of the divided sum, when every contribution is at the bound: the clip norm */
  readonly largestSignal: number;
  /** root mean square length of the divided sum's noise, same unit */
  readonly noise: number;
  /** standard deviation of that noise in each coordinate, same unit */
  readonly noisePerCoordinate: number;
  /** noise / largestSignal */
  readonly ratio: number;
  /** noisePerCoordinate / largestSignal: for a signal that is all in one coordinate */
  readonly ratioPerCoordinate: number;
}

/**
 * @param round - `sumStdDev`: of each coordinate of an opened sum, in the unit of `clipNorm`
 * @throws RangeError when nobody contributes
 */
export function noiseToSignal(round: {
  readonly sumStdDev: number;
  readonly clipNorm: number;
  readonly dimension: number;
  readonly contributions: number;
}): NoiseToSignal {
  const { sumStdDev, clipNorm, dimension, contributions } = round;
  if (!(contributions > 0)) throw new RangeError(`contributions must be positive, got ${contributions}`);
  const noisePerCoordinate = sumStdDev / contributions;
  const noise = noisePerCoordinate * Math.sqrt(dimension);
  return {
    ...{ contributions, largestSignal: clipNorm, noise, noisePerCoordinate },
    ...{ ratio: noise / clipNorm, ratioPerCoordinate: noisePerCoordinate / clipNorm },
  };
}
