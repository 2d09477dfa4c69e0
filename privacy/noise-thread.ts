/**
 * The thread of `threadedNoise`: fills the arrays it is sent with samples of D_Z(0, σ²), one after the other.
 *
 * Promise: it draws from its own source, and keeps nothing. An array goes back by transfer, which leaves this thread
 * without it; the random words are overwritten as they are used. Whatever fails here ends the thread, and the supply.
 */
import { parentPort } from 'node:worker_threads';
import { discreteGaussian } from './discrete-gaussian.ts';
import { secureRandom } from './random.ts';

/** What is to be drawn, and the array to draw it into. */
export interface Drawing {
  /** σ in grid steps */
  readonly stdDev: number;
  readonly values: Float64Array<ArrayBuffer>;
}

if (parentPort === null) throw new Error('noise-thread is started by threadedNoise, as a thread');
const supply = parentPort;
const random = secureRandom();

supply.on('message', (drawing: Drawing | 'close') => {
  if (drawing === 'close') return supply.close();
  const { stdDev, values } = drawing;
  discreteGaussian(stdDev, values, random);
  supply.postMessage(values, [values.buffer]);
  if (values.length > 0) throw new Error('a noise share was copied, not handed over');
});
