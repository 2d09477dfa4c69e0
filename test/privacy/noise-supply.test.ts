import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { addNoise, drawNoise, isUnused } from '../../privacy/noise.ts';
import { inlineNoise, type NoiseSupply, threadedNoise } from '../../privacy/noise-supply.ts';
import type { Drawing } from '../../privacy/noise-thread.ts';
import { secureRandom } from '../../privacy/random.ts';
import { noiseSupplyContract, zeros } from '../contracts/noise-supply.contract.ts';
import { replayRandom } from './replay-random.ts';

noiseSupplyContract('noise drawn inline', () => inlineNoise(secureRandom()));
noiseSupplyContract('noise drawn in a thread', threadedNoise);

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('noise drawn inline', () => {
  test('is the same again for the same random words, in the order it was asked for', async () => {
    const shapes = [
      [6, 3],
      [1000, 5],
      [6, 3],
    ] as const;
    const supply = inlineNoise(replayRandom('inline'));
    const shares = await Promise.all(shapes.map(([stdDev, length]) => supply.draw(stdDev, length)));
    const random = replayRandom('inline');
    for (const [i, [stdDev, length]] of shapes.entries())
      expect(addNoise(zeros(length), shares[i]!)).toEqual(addNoise(zeros(length), drawNoise(stdDev, length, random)));
  });

  test('says whether it can be replayed', async () => {
    expect(inlineNoise(replayRandom('a')).kind).toBe('replay');
    expect(inlineNoise(secureRandom()).kind).toBe('secure');
    expect((await watched()).supply.kind).toBe('secure');
  });
});

interface Watched {
  readonly supply: NoiseSupply;
  readonly thread: Worker;
  /** the arrays that went to the thread */
  readonly sent: Float64Array[];
  /** the arrays that came back, the very ones the supply holds */
  readonly came: Float64Array[];
  /** Waits until so many arrays have come back. */
  until(count: number): Promise<void>;
}

/** A threaded supply, and what goes over the wire between it and its thread. */
async function watched(): Promise<Watched> {
  const created = once(process, 'worker');
  const supply = threadedNoise();
  onTestFinished(() => supply.close());
  const [thread] = (await created) as [Worker];
  const [sent, came]: [Float64Array[], Float64Array[]] = [[], []];
  const post = thread.postMessage.bind(thread);
  thread.postMessage = (message: Drawing, transfer?: unknown) => {
    if (message.values !== undefined) sent.push(message.values);
    post(message, transfer as []);
  };
  thread.on('message', (values: Float64Array) => came.push(values));
  const until = async (count: number): Promise<void> => {
    while (came.length < count) await once(thread, 'message');
    await nextTurn();
  };
  return { supply, thread, sent, came, until };
}

const isOverwritten = (values: Float64Array): boolean => values.length > 0 && values.every((value) => value === 0);
const MANY = 200_000; // takes the thread longer than this one takes a turn

describe('noise drawn in a thread', () => {
  test('is drawn there, and handed over: the array leaves the one when it reaches the other', async () => {
    const { supply, sent, came } = await watched();
    const share = await supply.draw(6, MANY);
    expect(sent.every(({ buffer }) => (buffer as ArrayBuffer).detached)).toBe(true);
    const noised = addNoise(zeros(MANY), share);
    expect(noised.some((value) => value !== 0)).toBe(true);
    expect(isOverwritten(came[0]!)).toBe(true); // this was the share
  });

  test('does not wait for a share that was drawn ahead', async () => {
    const { supply, until } = await watched();
    await supply.draw(1000, MANY);
    await until(2);
    const isThere = () =>
      Promise.race([supply.draw(1000, MANY).then(() => 'there'), nextTurn().then(() => 'not there yet')]);
    expect(await isThere()).toBe('there');
    expect(await isThere()).toBe('not there yet'); // control: asked for too early
  });

  test('draws one share ahead of each shape, and no more', async () => {
    const { supply, sent } = await watched();
    for (let i = 0; i < 3; i++) await supply.draw(6, 10);
    await supply.draw(7, 10);
    expect(sent).toHaveLength(4 + 2);
  });

  test('keeps the shapes last asked for, and overwrites what it drew ahead of the others', async () => {
    const { supply, sent, came, until } = await watched();
    for (const stdDev of [6, 7, 8, 9, 6, 10]) addNoise(zeros(10), await supply.draw(stdDev, 10));
    // 6 6' 7 7' 8 8' 9 9' 6'' 10 10': all were used but 6'' 8' 9' 10', which wait, and 7', which was dropped
    await until(11);
    expect(sent).toHaveLength(11);
    expect(came.filter((values) => !isOverwritten(values))).toHaveLength(4);
    expect(isOverwritten(came[3]!)).toBe(true);
    const before = sent.length;
    await supply.draw(6, 10);
    expect(sent).toHaveLength(before + 1); // from the shelf, and the next one
    await supply.draw(7, 10);
    expect(sent).toHaveLength(before + 3);
  });

  test('overwrites what was not used when it closes: given out, drawn ahead, and still under way', async () => {
    const { supply, sent, came } = await watched();
    const share = await supply.draw(6, 10);
    const pending = supply.draw(7, MANY);
    pending.catch(() => {});
    expect(isUnused(share)).toBe(true);
    await supply.close();
    await expect(pending).rejects.toThrow('the noise supply is closed');
    expect(sent).toHaveLength(4);
    expect(came).toHaveLength(4);
    expect(came.every(isOverwritten)).toBe(true);
  });

  test.each([
    ['is stopped', (thread: Worker) => void thread.terminate(), undefined],
    ['fails', (thread: Worker) => thread.postMessage({ stdDev: 0, values: new Float64Array(1) }), /stdDev must be/],
    ['is told what it cannot read', (thread: Worker) => thread.postMessage({}), /./],
  ])('fails for good when its thread %s, and draws nothing in another way', async (_, end, cause) => {
    const { supply, thread, came, until } = await watched();
    const share = await supply.draw(6, 10);
    await until(2);
    end(thread);
    const pending = supply.draw(7, MANY);
    const failed = pending.catch((error: Error) => error);
    expect(await failed).toMatchObject({ message: expect.stringMatching(/^the noise thread ended: .*start again$/) });
    if (cause !== undefined)
      expect(((await failed) as Error).cause).toMatchObject({ message: expect.stringMatching(cause) });
    await expect(supply.draw(6, 10)).rejects.toThrow('the noise thread ended'); // though one was drawn ahead
    await expect(supply.draw(8, 1)).rejects.toThrow('the noise thread ended');
    expect(came.slice(0, 2).map(isOverwritten)).toEqual([false, true]);
    expect(isUnused(share)).toBe(true); // given out before: good noise
    await supply.close();
    expect(isOverwritten(came[0]!)).toBe(true);
    await expect(supply.draw(6, 10)).rejects.toThrow('the noise thread ended');
  });

  test('takes no share of another length than was asked for', async () => {
    const { supply, thread } = await watched();
    const answer = supply.draw(6, MANY).catch((error: Error) => error);
    thread.emit('message', new Float64Array(3));
    expect(await answer).toMatchObject({ cause: { message: 'a share of another length than was asked for' } });
    await expect(supply.draw(6, 3)).rejects.toThrow('the noise thread ended');
  });
});

describe('a process that draws its noise in a thread', () => {
  /** Waits for a share with nothing else to do; and ends, though the supply is open and the thread at work. */
  const program = (supply: string) => `
    import { threadedNoise } from ${JSON.stringify(supply)};
    const noise = threadedNoise();
    const { length } = await noise.draw(6, ${MANY});
    noise.draw(7, ${20 * MANY}).then(() => console.log('waited'));
    console.log('drawn', length);
  `;

  test('ends when nothing was ever asked for', async () => {
    const supply = JSON.stringify(join(root, 'privacy/noise-supply.ts'));
    const { stdout } = await run(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { threadedNoise } from ${supply}; threadedNoise(); console.log('open')`,
      ],
      { timeout: 30_000 },
    );
    expect(stdout).toBe('open\n');
  });

  test.each(['source', 'build'])(
    'waits for a share it asked for, and ends while none is asked for: %s',
    async (form) => {
      const folder = mkdtempSync(join(tmpdir(), 'parley-noise-'));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      const privacy = form === 'source' ? join(root, 'privacy') : await built(folder);
      const extension = form === 'source' ? 'ts' : 'js';
      expect(readdirSync(privacy)).toContain(`noise-thread.${extension}`);
      writeFileSync(join(folder, 'program.mjs'), program(join(privacy, `noise-supply.${extension}`)));
      expect(await node(join(folder, 'program.mjs'))).toBe(`drawn ${MANY}\nwaited\n`);
    },
  );
});

const run = promisify(execFile);

async function node(...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, args, { timeout: 30_000 });
  return stdout;
}

/** The room as \`tsc\` publishes it. @returns its folder */
async function built(folder: string): Promise<string> {
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { rootDir: root, outDir: folder, typeRoots: [join(root, 'node_modules/@types')] },
    files: ['noise-supply.ts', 'noise-thread.ts'].map((file) => join(root, 'privacy', file)),
    include: [],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  await node(join(root, 'node_modules/typescript/bin/tsc'), '-p', folder);
  return join(folder, 'privacy');
}

test('nothing but the supply and its inline neighbour makes a share of an array', () => {
  const rooms = ['models', 'privacy', 'aggregation', 'client', 'coordinator', 'simulation'];
  const files = rooms.flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => `${room}/${file}`),
  );
  expect(files.filter((file) => /\bshareOf\b/.test(readFileSync(join(root, file), 'utf8'))).sort()).toEqual([
    'privacy/noise-supply.ts',
    'privacy/noise.ts',
  ]);
});
