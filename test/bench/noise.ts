import { setTimeout as sleep } from 'node:timers/promises';
import { drawNoise } from '../../privacy/noise.ts';
import { type NoiseSupply, threadedNoise } from '../../privacy/noise-supply.ts';
import { secureRandom } from '../../privacy/random.ts';

/**
 * `node test/bench/noise.ts`: what noise costs, and how long a client waits for it.
 *
 *   inline     CPU time of drawing a share on this thread, best of five
 *   thread     CPU time of the whole process from asking until the share is here, best of five that were not drawn ahead
 *   ahead      wall time of asking for a share that was drawn ahead: median and most of twenty
 *   blocked    how long this thread does nothing else when it draws the same share itself
 *
 * `-- --smoke` draws less.
 */
const smoke = process.argv.includes('--smoke');
const LENGTH = smoke ? 20_000 : 1_000_000;
const random = secureRandom();
drawNoise(1000, LENGTH, random); // compiled by now

const supply = threadedNoise();
await supply.draw(1000, LENGTH - 1); // so is the thread's

console.log(`ns a sample (target ≤ 150), shares of ${LENGTH} coordinates:\n          σ   inline   thread`);
for (const stdDev of [6, 1000, 1025, 2 ** 20, 2 ** 31]) {
  const [inline, thread]: [number[], number[]] = [[], []];
  await idle(); // the thread's time would count
  for (let i = 0; i < 5; i++) inline.push(await cpuMs(async () => drawNoise(stdDev, LENGTH, random)));
  for (let i = 0; i < 5; i++) {
    await idle();
    thread.push(await cpuMs(() => supply.draw(stdDev, LENGTH + i))); // another length: nothing was drawn ahead
  }
  console.log(`${String(stdDev).padStart(11)} ${perSample(inline)} ${perSample(thread)}`);
}

console.log('\nms a client waits for a share:\n coordinates    ahead: median      most     blocked when drawn inline');
for (const length of smoke ? [4096] : [4096, 1_000_000]) {
  const waits = await waitsAhead(supply, length, smoke ? 3 : 20);
  const blocked = await wallMs(async () => drawNoise(2 ** 20, length, random));
  const [median, most] = [waits[Math.floor(waits.length / 2)]!, waits.at(-1)!];
  console.log(
    `${String(length).padStart(12)} ${median.toFixed(3).padStart(16)} ${most.toFixed(3).padStart(9)} ${blocked.toFixed(2).padStart(12)}`,
  );
}
await supply.close();

/** Sorted. */
async function waitsAhead(from: NoiseSupply, length: number, times: number): Promise<number[]> {
  const waits: number[] = [];
  await from.draw(2 ** 20, length);
  for (let i = 0; i < times; i++) {
    await idle();
    waits.push(await wallMs(() => from.draw(2 ** 20, length)));
  }
  return waits.sort((a, b) => a - b);
}

/** Time enough for what is drawn ahead. */
function idle(): Promise<void> {
  return sleep(smoke ? 50 : 300);
}

function perSample(ms: readonly number[]): string {
  return ((Math.min(...ms) * 1e6) / LENGTH).toFixed(0).padStart(8);
}

async function cpuMs(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function wallMs(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}
