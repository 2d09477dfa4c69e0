import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { temporaryFolder } from '../../support/folder.ts';
import { PEERS, type PeerOptions, peerTable, recordedPeers, runPeers } from './peers.ts';

const figures = {
  peer: 'a peer',
  versions: { python: '3.11.7' },
  threads: 1,
  values: 20_000,
  clientMs: 10,
  serverMsPerClient: 1,
  openMs: 20,
  bytesPerValue: 8,
  parts: { all: 10 },
  note: 'run for a test',
};
const printing = (value: unknown): string => `console.log('WARNING: loud'); console.log('${JSON.stringify(value)}')`;

interface Behaviour {
  readonly version?: readonly [number, number];
  /** what it does as `-m pip`, and as `-I SCRIPT` of either peer, in JavaScript */
  readonly pip?: string;
  readonly tenseal?: string;
  readonly flower?: string;
}

/** An interpreter that makes environments of itself and writes down how it is called. */
function interpreter({ version = [3, 11], pip = '', tenseal = '', flower = '' }: Behaviour, beside?: string) {
  const folder = temporaryFolder();
  const [python, calls] = [join(folder, 'python3'), join(folder, 'calls')];
  writeFileSync(calls, '');
  writeFileSync(
    python,
    `#!${process.execPath}
const fs = require('node:fs');
const args = process.argv.slice(2);
fs.appendFileSync(${JSON.stringify(calls)}, args.join(' ') + ', threads ' + process.env.OMP_NUM_THREADS + '\\n');
if (args.includes('-c')) console.log('${JSON.stringify([...version, 'made for a test', 'here'])}');
else if (args.includes('venv')) {
  fs.mkdirSync(args.at(-1) + '/bin');
  fs.copyFileSync(__filename, args.at(-1) + '/bin/python');
} else if (args.includes('pip')) { ${pip} }
else if (args[1].endsWith('tenseal-ckks.py')) { ${tenseal} }
else if (args[1].endsWith('flower-secagg.py')) { ${flower} }
`,
  );
  chmodSync(python, 0o755);
  const cache = beside ?? join(folder, 'cache');
  return {
    run: (options: Partial<PeerOptions>) => runPeers({ install: true, smoke: true, python, cache, ...options }),
    calls: () => readFileSync(calls, 'utf8'),
    cached: () => (existsSync(cache) ? readdirSync(cache) : []),
  };
}

const both = { tenseal: printing({ ...figures, peer: 'first' }), flower: printing({ ...figures, peer: 'second' }) };
const recorded = recordedPeers();
const reasons = (rows: Awaited<ReturnType<typeof runPeers>>) => rows.map((row) => (row.ran ? undefined : row.reason));

describe('where the peers run', () => {
  test('what each prints is its row, measured here and now', async () => {
    const rows = await interpreter(both).run({});
    expect(rows).toMatchObject([
      { ...figures, peer: 'first', ran: true },
      { ...figures, peer: 'second', ran: true },
    ]);
    expect(peerTable(rows)).not.toContain('not run here');
  });

  test('packages are fetched once, only as wheels whose hashes are known, and then found', async () => {
    const { run, calls, cached } = interpreter(both);
    await run({});
    expect(calls()).toMatch(/-m pip install .*--only-binary=:all: --require-hashes -r \S*requirements\.txt/);
    const rows = await run({ install: false });
    expect(reasons(rows)).toEqual([undefined, undefined]);
    await run({});
    expect(calls().match(/ pip /g)).toHaveLength(1);
    expect(cached()).toHaveLength(1);
  });

  test('of two that fetch at once, one is kept and both run', async () => {
    const { run, cached } = interpreter(both);
    const rows = await Promise.all([run({}), run({})]);
    expect(rows.flatMap(reasons)).toEqual([undefined, undefined, undefined, undefined]);
    expect(cached()).toHaveLength(1);
  });

  test('each is given a million values and one thread', async () => {
    const { run, calls } = interpreter(both);
    await run({ smoke: false });
    for (const peer of PEERS) expect(calls()).toMatch(new RegExp(`/${peer}\\.py 1000000 5, threads 1\\n`));
  });

  test('another Python gets other packages', async () => {
    const cache = temporaryFolder();
    for (const version of [
      [3, 11],
      [3, 12],
    ] as const) {
      const { run, calls } = interpreter({ ...both, version }, cache);
      await run({});
      expect(calls()).toContain(' pip ');
    }
    expect(readdirSync(cache)).toHaveLength(2);
  });

  test('the peers that are in the cache of this project still print what is expected', async (context) => {
    const rows = await runPeers({ install: false, smoke: true });
    const absent = reasons(rows).find(
      (reason) => reason !== undefined && /not to be fetched|cannot be run|or newer/.test(reason),
    );
    context.skip(absent !== undefined, absent);
    expect(reasons(rows)).toEqual([undefined, undefined]);
    for (const row of rows) expect(row.values).toBe(20_000);
  });
});

describe('where they do not', () => {
  test('nothing reaches for the network unasked', async () => {
    const { run, calls, cached } = interpreter(both);
    const rows = await run({ install: false });
    expect(reasons(rows)).toEqual([
      expect.stringContaining('were not to be fetched'),
      expect.stringContaining('--install'),
    ]);
    expect(calls()).toMatch(/^-I -c .*\n$/); // only who it is
    expect(cached()).toEqual([]);
  });

  test('without a Python the rows are the recorded ones, and say why', async () => {
    const rows = await runPeers({ install: true, python: '/nowhere/python3', cache: temporaryFolder() });
    const reason = '/nowhere/python3 cannot be run (ENOENT)';
    expect(rows).toEqual(PEERS.map((peer) => ({ ...recorded[peer], ran: false, reason })));
    expect(peerTable(rows).match(/not run here: \/nowhere\/python3 cannot be run/g)).toHaveLength(2);
  });

  test('PARLEY_PYTHON names the Python', async () => {
    vi.stubEnv('PARLEY_PYTHON', '/nowhere/parley-python');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(reasons(await runPeers({ install: false }))[0]).toContain('/nowhere/parley-python cannot be run');
  });

  test.each([
    [[3, 10], 'is Python 3.10; the peers need 3.11 or newer'],
    [[2, 12], 'is Python 2.12; the peers need 3.11 or newer'],
  ] as const)('Python %j is too old', async (version, message) => {
    const rows = await interpreter({ ...both, version }).run({});
    expect(reasons(rows)[0]).toContain(message);
  });

  test('a fetch that fails leaves nothing that would be taken for packages', async () => {
    const pip = `console.error('ERROR: no route\\nERROR: No matching distribution found for flwr'); process.exit(1)`;
    const { run, cached } = interpreter({ ...both, pip });
    const rows = await run({});
    expect(reasons(rows)[1]).toMatch(
      /^the packages could not be fetched: .* ended with 1: ERROR: No matching distribution found for flwr$/,
    );
    expect(cached()).toEqual([]);
  });

  test.each([
    ['garbage', `console.log('{"peer": ')`, 'should print JSON last'],
    ['nothing', '', 'should print JSON last'],
    [
      'a missing figure',
      printing({ ...figures, openMs: undefined }),
      'tenseal-ckks.py printed other figures than expected: openMs',
    ],
    ['a time of nothing', printing({ ...figures, clientMs: 0 }), 'clientMs'],
    ['more threads', printing({ ...figures, threads: 2 }), 'threads'],
    ['a failure', `console.error('ImportError: libseal'); process.exit(1)`, 'ended with 1: ImportError: libseal'],
    ['no end', 'setInterval(() => {}, 1000)', 'took more than 5 s'],
  ])('a peer that prints %s is recorded, the other is measured', async (_, tenseal, message) => {
    const rows = await interpreter({ ...both, tenseal }).run({ runTimeoutMs: 5000 });
    expect(rows).toMatchObject([
      { ...recorded['tenseal-ckks'], ran: false },
      { peer: 'second', ran: true },
    ]);
    expect(reasons(rows)[0]).toContain(message);
    expect(reasons(rows)[0]).not.toContain('\n');
  });
});

test('what is recorded is of a million values, and of the versions that would run', () => {
  const requirements = readFileSync(join(import.meta.dirname, 'requirements.txt'), 'utf8');
  const pins = new Map([...requirements.matchAll(/^(\S+)==(\S+) \\$/gm)].map(([, name, version]) => [name!, version!]));
  expect([...pins.keys()]).toEqual(['flwr', 'numpy', 'tenseal']);
  for (const { values, versions } of Object.values(recorded)) {
    expect(values).toBe(1_000_000);
    const { python, ...packages } = versions;
    expect(python).toMatch(/^3\./);
    expect(Object.keys(packages)).toHaveLength(2);
    for (const [name, version] of Object.entries(packages)) expect(version).toBe(pins.get(name));
  }
});

test.skipIf(!hasPython())('the scripts compile', () => {
  for (const peer of PEERS) {
    const compile = 'import sys; compile(sys.stdin.read(), "script", "exec"); print("compiled")';
    const input = readFileSync(join(import.meta.dirname, `${peer}.py`));
    expect(execFileSync('python3', ['-I', '-c', compile], { input, encoding: 'utf8' })).toBe('compiled\n');
  }
});

function hasPython(): boolean {
  return spawnSync('python3', ['--version']).status === 0;
}
