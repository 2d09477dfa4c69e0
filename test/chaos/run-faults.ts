import type { Settings } from '../../aggregation/settings.ts';
import type { Fault } from './faults/fault.ts';
import type { Status } from './killable-coordinator.ts';
import { type RealFederation, startRealFederation } from './real-federation.ts';
import { type RealVerdict, realVerdict } from './real-verdict.ts';

/** A task that was run while something went wrong, and what was found afterwards. */
export interface Reported extends RealVerdict {
  readonly fault: string;
  readonly secureSum: string;
  readonly point: number;
  /** processes that ended, or connections that a network broke or bent */
  readonly deaths: number;
  /** from a coordinator's start to its first answer, for each that was killed */
  readonly startsMs: readonly number[];
  readonly ms: number;
  /** why there is nothing to be judged */
  readonly failure?: string;
}

export interface FaultRun {
  readonly secureSum: string;
  readonly faults: readonly Fault[];
  /** every so many-th point */
  readonly stride: number;
  /** this point alone */
  readonly at: number | undefined;
  readonly settings: (name: string) => Settings;
  readonly random: (point: number) => () => number;
  /** of a network's times; 1 is as networks are */
  readonly scale: number;
  readonly onTask: (one: Reported) => void;
}

/** Tasks of one federation: after so many it has had its time, and is judged. */
const TASKS = 12;

/** Runs tasks under faults, one point of one fault each, in one federation after the other. */
export async function runFaults(run: FaultRun): Promise<Reported[]> {
  const all: Reported[] = [];
  let due: { fault: Fault; point: number }[] | undefined;
  for (let from = 0; due === undefined || from < due.length; from += TASKS) {
    const federation = await startRealFederation();
    try {
      const commits = await commitsOf(federation, run);
      due ??= pointsOf(run, commits);
      const ran: (Omit<Reported, keyof RealVerdict> & { task: string })[] = [];
      for (const [i, { fault, point }] of due.slice(from, from + TASKS).entries())
        ran.push(await underFault(federation, fault, point, commits, run, `task-${i}`));
      await federation.stop();
      for (const { task, ...one } of ran) {
        const reported = { ...one, ...(one.failure === undefined ? await realVerdict(federation, task) : NOTHING) };
        all.push(reported);
        run.onTask(reported);
      }
    } finally {
      await federation.stop();
      federation.remove();
    }
  }
  return all;
}

function pointsOf({ faults, stride, at }: FaultRun, commits: number): { fault: Fault; point: number }[] {
  return faults.flatMap((fault) =>
    fault
      .points(commits)
      .filter((point, i) => (at === undefined ? i % stride === 0 : point === at))
      .map((point) => ({ fault, point })),
  );
}

/** How many commits of facts a task takes when nothing goes wrong. */
async function commitsOf(federation: RealFederation, run: FaultRun): Promise<number> {
  const before = await federation.ask<Status>({ ask: 'status' });
  await federation.run(run.settings('quiet'), patienceOf(run));
  const { commits } = await federation.ask<Status>({ ask: 'status' });
  return commits - before.commits;
}

async function underFault(
  federation: RealFederation,
  fault: Fault,
  point: number,
  commits: number,
  run: FaultRun,
  name: string,
): Promise<Omit<Reported, keyof RealVerdict> & { task: string }> {
  const { deaths, starts } = federation;
  const [before, started, startedAt] = [deaths.coordinator + deaths.clients, starts.length, performance.now()];
  let task = '';
  let failure: string | undefined;
  let struck = 0;
  try {
    const end = await fault.begin(federation, point, commits, run.random(point), run.scale);
    task = await federation.run(run.settings(name), patienceOf(run));
    struck = (await end()) ?? 0;
  } catch (error) {
    failure = (error as Error).message;
  }
  return {
    ...{ fault: fault.name, secureSum: run.secureSum, point, task },
    deaths: deaths.coordinator + deaths.clients - before + struck,
    startsMs: starts.slice(started),
    ms: performance.now() - startedAt,
    ...(failure === undefined ? {} : { failure }),
  };
}

/** ms */
const patienceOf = ({ scale }: FaultRun): number => Math.max(120_000, 900_000 * scale);

const NOTHING: RealVerdict = {
  ...{ lost: [], counted: [], other: [], isFinished: false, opened: 0, abandoned: 0, releases: 0 },
};
