// A coordinator as `parley coordinator` runs it, on a store that ends the process at a commit: node killable-coordinator.ts FOLDER
// PORT JOURNAL. What it is asked comes from the process that started it, as an operator's commands do over HTTP.
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { type Serving, serve } from '../../coordinator/serve.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { witnessed } from './witnessed-store.ts';
import { coordinatorWrites, type Kept, overheard } from './writes.ts';

/** Ends the process at a commit of a fact, counted from when this is heard. */
export interface Strike {
  readonly when: 'before' | 'after';
  /** from 1 */
  readonly nth: number;
}

export type Asked =
  | { readonly ask: 'strike'; readonly strike: Strike }
  | { readonly ask: 'invite'; readonly tenant: TenantId }
  | { readonly ask: 'propose'; readonly settings: Settings }
  | { readonly ask: 'status' };

export interface Status {
  readonly present: readonly TenantId[];
  readonly tasks: readonly {
    readonly id: string;
    readonly name: string;
    readonly phase: string;
    /** who takes part in it */
    readonly accepted: readonly TenantId[];
  }[];
  /** commits of facts since it was told when to strike, or since it began */
  readonly commits: number;
}

if (process.argv[1] === import.meta.filename) {
  const [, , folder, port, journal, first] = process.argv as [string, string, string, string, string, string?];
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  mkdirSync(journal, { recursive: true });
  let strike = first === undefined ? undefined : (JSON.parse(first) as Strike);
  let commits = 0;
  const die = (side: Strike['when']): void => {
    if (strike?.when === side && strike.nth === commits) process.kill(process.pid, 'SIGKILL');
  };
  const keep = (one: Kept): void =>
    appendFileSync(
      join(journal, one.task),
      `${JSON.stringify({ ...one, body: Buffer.from(one.body).toString('base64') })}\n`,
    );
  const store = witnessed(overheard(openSqliteStore(join(folder, 'events.db')), keep), coordinatorWrites, {
    check() {},
    around({ run }) {
      let isFact = false;
      const result = run((what) => {
        isFact = !/^((put|erase)\w+(, )?)*$/.test(what);
        if (isFact) commits++;
        if (isFact) die('before');
      });
      if (isFact) die('after');
      return result;
    },
  });
  const answer = (serving: Serving, asked: Asked): unknown => {
    const { coordinator } = serving;
    switch (asked.ask) {
      case 'strike':
        strike = asked.strike;
        commits = 0;
        return {};
      case 'invite':
        return coordinator.enrolment.invite(asked.tenant);
      case 'propose':
        return coordinator.propose(asked.settings).id;
      case 'status': {
        const tasks = coordinator.tasks().map(({ id, plan, state }) => {
          const accepted = 'accepted' in state ? state.accepted : [];
          return { id, name: plan.settings.name, phase: state.phase, accepted };
        });
        return { present: [...coordinator.present()], tasks, commits } satisfies Status;
      }
    }
  };
  const log = pino({ level: 'info' }, pino.destination({ dest: 1, sync: true }));
  const serving = await serve({
    ...{ folder, store, host: '127.0.0.1', port: Number(port), version: 'chaos', log },
    onFailure: (error) => {
      throw error;
    },
  });
  process.on('message', ({ id, asked }: { id: number; asked: Asked }) =>
    process.send!({ id, answer: answer(serving, asked) }),
  );
  process.once('disconnect', () => process.exit(0)); // whoever started it is gone
  process.send!({ url: serving.url });
}
