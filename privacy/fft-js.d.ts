/** The part of fft.js 4.0.4 in use; the package brings no types. Complex arrays are re, im, re, im, … */
declare module 'fft.js' {
  export default class FFT {
    /** @param size - a power of two ≥ 2 */
    constructor(size: number);
    /** Fills the first half of `spectrum`, entries 0 to size/2. */
    realTransform(spectrum: Float64Array, values: Float64Array): void;
    inverseTransform(values: Float64Array, spectrum: Float64Array): void;
  }
}
