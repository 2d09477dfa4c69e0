import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SecureSumName, TenantId } from '../../../aggregation/secure-sum.ts';
import { toySettings } from '../../support-client/toy-task.ts';
import { SCALE } from '../faults/fault.ts';
import { NETWORK_FAULTS, type Opened } from '../network/kinds.ts';
import { between } from '../network/seeded.ts';
import { type RealFederation, startRealFederation } from '../real-federation.ts';
import { type RealVerdict, realVerdict } from '../real-verdict.ts';
import { HELD_FOLDER, heldBy } from './held.ts';
import type { Sample } from './steadiness.ts';

/** A long run of a federation of real processes: three tasks at a time, one after the other, under faults drawn from a seed. */
export interface SoakOptions {
  readonly seconds: number;
  readonly tenants: number;
  /** in [0, 1) */
  readonly random: () => number;
  readonly sampleEverySeconds: number;
  /** on average */
  readonly faultEverySeconds: number;
  readonly rounds: number;
  /** told what happens, in a line */
  readonly say: (line: string) => void;
}

export interface SoakReport {
  readonly samples: { readonly coordinator: readonly Sample[]; readonly client: readonly Sample[] };
  /** by kind */
  readonly faults: Readonly<Record<string, number>>;
  readonly tasks: number;
  readonly finished: number;
  readonly rounds: number;
  readonly abandoned: number;
  /** what was lost, counted twice, or never came to its end */
  readonly violations: readonly string[];
}

const SUMS: readonly SecureSumName[] = ['threshold-he', 'masking', 'lattice-mask'];
const COLLECTING = join(import.meta.dirname, 'collecting.ts');
/**
 * What the units and the image set, so that a process keeps no more than it needs. glibc's own way is an arena for each few threads, and,
 * once a long buffer was freed, the next of its length from an arena too (mallopt(3), M_ARENA_MAX and M_MMAP_THRESHOLD): arenas full of
 * holes, which the system never gets back. V8's own way is a young generation that doubles to 128 MiB and stays there.
 */
export const AS_DEPLOYED = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '131072',
  NODE_OPTIONS: '--max-semi-space-size=16',
} as const;

/** The coordinator is killed in the first half alone, one client never: of these two it is measured what they take. */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const { seconds, tenants, rounds, say } = options;
  const names = Array.from({ length: tenants }, (_, i) => `unit-${String(i).padStart(2, '0')}`);
  const held = mkdtempSync(join(tmpdir(), 'parley-soak-'));
  const env = { ...AS_DEPLOYED, [HELD_FOLDER]: held };
  const federation = await startRealFederation(names, { preload: COLLECTING, env });
  const began = performance.now();
  const elapsed = (): number => (performance.now() - began) / 1000;
  const violations: string[] = [];
  const tasks: string[] = [];
  const lane = async (secureSum: SecureSumName): Promise<void> => {
    // five in six may be lost at once, and more than half must open
    const minCohort = Math.floor(tenants / 2) + 2;
    const timing = { stageTimeoutMs: 20_000, graceMs: 2_000, patienceMs: 120_000 };
    for (let i = 0; elapsed() < seconds; i++) {
      const settings = toySettings({
        name: `${secureSum}-${i}`,
        protocol: secureSum,
        rounds,
        minCohort,
        colluders: 1,
        timing,
      });
      try {
        tasks.push(await federation.run(settings, 900_000));
        say(`${elapsed().toFixed(0)} s: ${settings.name} is over`);
      } catch (error) {
        violations.push(`${settings.name}: ${(error as Error).message}`);
      }
    }
  };
  const samples = { coordinator: [] as Sample[], client: [] as Sample[] };
  const sampling = setInterval(() => {
    samples.coordinator.push(...sampleOf(federation.pidOf('coordinator'), held, elapsed()));
    samples.client.push(...sampleOf(federation.pidOf(names[0]!), held, elapsed()));
  }, 1000 * options.sampleEverySeconds);
  try {
    const faulting = injectFaults(federation, options, () => elapsed() / seconds);
    await Promise.all(SUMS.map(lane));
    const faults = await faulting;
    clearInterval(sampling);
    await federation.stop();
    const verdicts: (RealVerdict & { readonly task: string })[] = [];
    for (const task of tasks) verdicts.push({ task, ...(await realVerdict(federation, task)) });
    for (const { task, lost, counted, other } of verdicts)
      violations.push(...[...lost, ...counted, ...other].map((what) => `task ${task.slice(0, 8)}: ${what}`));
    const sum = (of: (one: RealVerdict) => number): number => verdicts.reduce((n, one) => n + of(one), 0);
    return {
      ...{ samples, faults, violations, tasks: tasks.length },
      finished: sum(({ isFinished }) => Number(isFinished)),
      rounds: sum(({ opened }) => opened),
      abandoned: sum(({ abandoned }) => abandoned),
    };
  } finally {
    clearInterval(sampling);
    await federation.stop();
    federation.remove();
    rmSync(held, { recursive: true, force: true });
  }
}

/** @param share - of the run that is over @returns how often each kind struck */
async function injectFaults(
  federation: RealFederation,
  { random, faultEverySeconds, say }: SoakOptions,
  share: () => number,
): Promise<Record<string, number>> {
  const [, ...others] = federation.units; // the first is measured
  const faults: Record<string, number> = {};
  const count = (kind: string, n = 1): void => {
    faults[kind] = (faults[kind] ?? 0) + n;
    say(`  ${kind}`);
  };
  while (share() < 1) {
    await sleep(2000 * faultEverySeconds * random());
    const chance = random();
    if (chance < 0.2 && share() < 0.5) {
      count('coordinator killed');
      federation.killCoordinator();
    } else if (chance < 0.6) {
      count('client killed');
      federation.killUnit(others[between(random, 0, others.length)]!);
    } else {
      const kind = NETWORK_FAULTS[between(random, 0, NETWORK_FAULTS.length)]!;
      const opened = new Map<TenantId, Opened>();
      for (const tenant of federation.units)
        opened.set(tenant, await kind.open({ to: federation.port, tenant, random, scale: SCALE }));
      federation.network(opened);
      await sleep(2000 * faultEverySeconds * random());
      federation.network(undefined);
      count(
        `network: ${kind.name}`,
        [...opened.values()].reduce((sum, each) => sum + each.faults(), 0),
      );
      await Promise.all([...opened.values()].map((each) => each.close()));
    }
  }
  return faults;
}

/** Of a process; nothing when it is gone, or has not told yet. */
function sampleOf(pid: number, folder: string, at: number): Sample[] {
  try {
    const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    if (kib === undefined) return []; // a process that has ended and was not waited for
    const held = heldBy(folder, pid) / 2 ** 20;
    return [{ at, held, resident: Number(kib) / 1024, handles: readdirSync(`/proc/${pid}/fd`).length }];
  } catch {
    return [];
  }
}
