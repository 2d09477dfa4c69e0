import { describe, expect, onTestFinished, test } from 'vitest';
import type { EventStore } from '../../coordinator/store/event-store.ts';
import type { TaskFact } from '../../coordinator/task.ts';

/** A place that holds one store's content while no process has it open. */
export interface StorePlace {
  open(): EventStore | Promise<EventStore>;
}

/** What every event store promises. @param newPlace - an empty one, each time */
export function eventStoreContract(newPlace: () => Promise<StorePlace> | StorePlace): void {
  const fact = (at: number): TaskFact => ({ type: 'waiting', at });
  const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
  const open = async (place: StorePlace): Promise<EventStore> => {
    const store = await place.open();
    onTestFinished(() => {
      try {
        store.close();
      } catch {
        // closed by the test
      }
    });
    return store;
  };
  const newStore = async (): Promise<EventStore> => open(await newPlace());

  describe('an event store', () => {
    test('gives back after a restart what was written: facts, bodies, sums, ledger, roster, parameters', async () => {
      const file = await newPlace();
      const store = await open(file);
      const facts: TaskFact[] = [
        { type: 'proposed', at: 1, model: 'm', entry: 0 },
        { type: 'declined', tenant: 'blue', cause: 'data', reason: 'a "quoted" reason — with é' },
        { type: 'in-round', fact: { type: 'asked', stage: 2, attempt: 1, asked: ['amber'], at: 3, patient: true } },
      ];
      const place = { epoch: 1, round: 2, stage: 'contribute', attempt: 1 };
      store.commit(() => {
        store.addTask({ id: 'task', plan: '{}', signature: bytes(1, 2) });
        for (const one of facts) store.addFact('task', one);
        store.addFact('another', fact(9));
        store.putBody('task', place, 'blue', bytes(4));
        store.putBody('task', place, 'amber', bytes(3));
        store.putSum('task', { round: 2, sum: bytes(5), contributions: 4, model: 'next' });
        store.addLedgerEntry(0, 'first');
        store.addLedgerEntry(1, 'second');
        store.enrol('blue', 'cd', 7);
        store.enrol('amber', 'ab', 8);
        store.putParameters('hash', bytes(6));
      });
      store.close();

      const again = await open(file);
      expect(again.tasks()).toEqual([{ id: 'task', plan: '{}', signature: bytes(1, 2) }]);
      expect(again.facts('task')).toEqual(facts);
      expect(again.facts('another')).toEqual([fact(9)]);
      expect([...again.bodies('task', place)]).toEqual([
        ['amber', bytes(3)],
        ['blue', bytes(4)],
      ]);
      expect(again.body('task', place, 'blue')).toEqual(bytes(4));
      expect(again.body('task', place, 'coral')).toBeUndefined();
      expect(again.body('another', place, 'blue')).toBeUndefined();
      expect([...again.sums('task', 1)]).toEqual([{ round: 2, sum: bytes(5), contributions: 4, model: 'next' }]);
      expect([...again.sums('task', 2)]).toEqual([]);
      expect(again.ledger(1)).toEqual(['second']);
      expect(again.roster()).toEqual([
        { tenant: 'amber', key: 'ab', enrolledAt: 8 },
        { tenant: 'blue', key: 'cd', enrolledAt: 7 },
      ]);
      expect(again.parameters('hash')).toEqual(bytes(6));
      expect(again.parameters('another')).toBeUndefined();
    });

    test('commits all of a transaction, or nothing of it', async () => {
      const file = await newPlace();
      const store = await open(file);
      store.commit(() => store.addFact('task', fact(1)));
      expect(() =>
        store.commit(() => {
          store.addFact('task', fact(2));
          store.addLedgerEntry(0, 'entry');
          store.putParameters('hash', bytes(1));
          throw new Error('in the middle');
        }),
      ).toThrow('in the middle');
      store.commit(() => store.addFact('task', fact(3)));
      store.close();
      const again = await open(file);
      expect(again.facts('task')).toEqual([fact(1), fact(3)]);
      expect(again.ledger(0)).toEqual([]);
      expect(again.parameters('hash')).toBeUndefined();
    });

    test('shows a transaction what it has written itself, and undoes that too', async () => {
      const store = await newStore();
      store.commit(() => store.addFact('task', fact(1)));
      expect(() =>
        store.commit(() => {
          store.addFact('task', fact(2));
          expect(store.facts('task')).toEqual([fact(1), fact(2)]);
          store.addFact('task', fact(3));
          throw new Error('after reading');
        }),
      ).toThrow('after reading');
      expect(store.facts('task')).toEqual([fact(1)]);
      expect(store.commit(() => store.facts('task').length)).toBe(1);
    });

    test('undoes a transaction one of whose statements is refused, and goes on', async () => {
      const store = await newStore();
      store.commit(() => store.addLedgerEntry(0, 'entry'));
      const twice = (look: () => unknown) => () =>
        store.commit(() => {
          store.addFact('task', fact(1));
          store.addLedgerEntry(0, 'another');
          look();
          store.addFact('task', fact(2));
        });
      expect(twice(() => {})).toThrow(/unique/i);
      expect(twice(() => store.facts('task'))).toThrow(/unique/i);
      expect(store.facts('task')).toEqual([]);
      store.commit(() => store.addFact('task', fact(3)));
      expect(store.facts('task')).toEqual([fact(3)]);
      expect(store.ledger(0)).toEqual(['entry']);
    });

    test('keeps what was committed soon, in order with the rest', async () => {
      const place = await newPlace();
      const store = await open(place);
      const at = { epoch: 1, round: 1, stage: 'contribute', attempt: 1 };
      store.commitSoon(() => store.putPart('task', at, 'blue', 0, bytes(1)));
      store.commit(() => store.putPart('task', at, 'blue', 1, bytes(2)));
      store.commitSoon(() => store.putPart('task', at, 'amber', 0, bytes(3)));
      expect(() =>
        store.commitSoon(() => {
          store.putPart('task', at, 'amber', 1, bytes(4));
          throw new Error('no');
        }),
      ).toThrow('no');
      store.close();
      const again = await open(place);
      expect([again.part('task', at, 'blue', 0), again.part('task', at, 'blue', 1)]).toEqual([bytes(1), bytes(2)]);
      expect([again.part('task', at, 'amber', 0), again.part('task', at, 'amber', 1)]).toEqual([bytes(3), undefined]);
      again.eraseVector('task', at, 'blue');
      expect(again.part('task', at, 'blue', 1)).toBeUndefined();
      expect([again.eraseParts('task', 0), again.eraseParts('task', 1), again.eraseParts('task', 1)]).toEqual([
        false,
        true,
        false,
      ]);
    });

    test('does not go into one transaction from within another', async () => {
      const store = await newStore();
      expect(() => store.commit(() => store.commit(() => {}))).toThrow(/transaction/);
      store.commit(() => store.addFact('task', fact(1)));
      expect(store.facts('task')).toEqual([fact(1)]);
    });

    test('keeps bytes as they were when they were given', async () => {
      const store = await newStore();
      const frame = bytes(0, 1, 2, 3, 4);
      const part = frame.subarray(1, 4);
      const place = { epoch: 1, round: 1, stage: 'deal', attempt: 1 };
      store.commit(() => {
        store.putBody('task', place, 'amber', part);
        frame.fill(9);
      });
      expect(frame.length).toBe(5);
      expect([...store.bodies('task', place)]).toEqual([['amber', bytes(1, 2, 3)]]);
    });

    test.each([0, 1, 4 * 2 ** 20 - 1, 4 * 2 ** 20, 4 * 2 ** 20 + 1, 9 * 2 ** 20])(
      'keeps parameters and sums of %i bytes, once',
      async (length) => {
        const store = await newStore();
        const long = new Uint8Array(length).map((_, i) => i * 31 + (i >> 12));
        const others = [1, 2, 3].map((round) => ({ round, sum: bytes(round), contributions: 4, model: 'm' }));
        store.commit(() => {
          store.putParameters('hash', long);
          store.putParameters('hash', long);
          store.putParameters('other', bytes(7));
          for (const one of others) store.putSum('task', one.round === 2 ? { ...one, sum: long } : one);
        });
        expect(Buffer.compare(store.parameters('hash')!, long)).toBe(0);
        expect(store.parameters('other')).toEqual(bytes(7));
        const kept = Array.from(store.sums('task', 0), (one) => [
          one.round,
          one.sum.length,
          one.contributions,
          one.model,
        ]);
        expect(kept).toEqual([
          [1, 1, 4, 'm'],
          [2, length, 4, 'm'],
          [3, 1, 4, 'm'],
        ]);
        expect(() => store.putSum('task', others[0]!)).toThrow(/unique/i);
      },
    );

    test('orders names by their bytes, and facts and invitations by when they came', async () => {
      const store = await newStore();
      const names = ['é', 'b', 'B', 'a-1', 'a', 'a1'];
      for (const [i, name] of names.entries()) {
        store.enrol(name, String(i), i);
        store.putStanding(name, 'training', '{}');
        store.addInvitation({ tenant: name, codeHash: String(9 - i), expiresAt: 2 ** 45, usedAt: null });
      }
      const sorted = ['B', 'a', 'a-1', 'a1', 'b', 'é'];
      expect(store.roster().map(({ tenant }) => tenant)).toEqual(sorted);
      expect(store.standings().map(({ tenant }) => tenant)).toEqual(sorted);
      expect(store.invitations().map(({ tenant }) => tenant)).toEqual(names);
      store.expireInvitations('a', 5);
      store.expireInvitations('a', 7);
      expect(store.invitations().find(({ tenant }) => tenant === 'a')?.expiresAt).toBe(5);
    });

    test('changes keys, standings and notes in place; hears a notice once', async () => {
      const store = await newStore();
      store.enrol('amber', 'ab', 1);
      store.rekey('amber', 'cd');
      store.enrol('blue', 'ef', 1);
      store.removeTenant('blue');
      expect(store.roster()).toEqual([{ tenant: 'amber', key: 'cd', enrolledAt: 1 }]);
      store.putStanding('amber', 'training', '1');
      store.putStanding('amber', 'training', '2');
      expect(store.standings()).toEqual([{ tenant: 'amber', pool: 'training', text: '2' }]);
      for (const [size, note] of [
        [12, 'b'],
        [3, 'a'],
        [12, 'c'],
      ] as const)
        store.putNote(size, note);
      expect(store.notes(0)).toEqual([
        { size: 3, note: 'a' },
        { size: 12, note: 'c' },
      ]);
      expect(store.notes(3)).toEqual([{ size: 12, note: 'c' }]);
      expect(store.wasHeard('id')).toBe(false);
      store.addNotice('id', 1);
      expect(store.wasHeard('id')).toBe(true);
      expect(() => store.addNotice('id', 2)).toThrow(/unique/i);
      expect([store.ledger(0), store.ledger(0, 1), store.ledger(1)]).toEqual([[], [], []]);
      for (const seq of [0, 1, 2]) store.addLedgerEntry(seq, `${seq}`);
      expect([store.ledger(1, 1), store.ledger(1), store.ledger(0, 0)]).toEqual([['1'], ['1', '2'], []]);
    });

    test('belongs to the federation that claimed it first', async () => {
      const place = await newPlace();
      const store = await open(place);
      store.claim('aa');
      store.claim('aa');
      store.close();
      const again = await open(place);
      expect(() => again.claim('bb')).toThrow('belongs to another federation');
      again.claim('aa');
    });

    test('can be asked whether it takes anything, as often as anybody likes, and is the same afterwards', async () => {
      const store = await newStore();
      store.claim('aa');
      for (const at of [1, 2, 2]) store.commit(() => store.probe(at));
      store.claim('aa');
      expect([store.tasks(), store.ledger(0), store.roster()]).toEqual([[], [], []]);
    });

    test('takes a ledger number, a tenant and a key once', async () => {
      const store = await newStore();
      store.addLedgerEntry(0, 'entry');
      expect(() => store.addLedgerEntry(0, 'another')).toThrow(/unique/i);
      store.enrol('amber', 'ab', 1);
      expect(() => store.enrol('amber', 'cd', 1)).toThrow(/unique/i);
      expect(() => store.enrol('blue', 'ab', 1)).toThrow(/unique/i);
      expect(store.ledger(0)).toEqual(['entry']);
    });

    test('erases what was said in rounds that are over; keying stays until the task is', async () => {
      const store = await newStore();
      const place = (round: number) => ({ epoch: 1, round, stage: 'deal', attempt: 1 });
      for (const round of [0, 1, 2, 3]) store.putBody('task', place(round), 'amber', bytes(round));
      store.putBody('another', place(1), 'amber', bytes(1));
      const left = (task: string): number[] =>
        [0, 1, 2, 3].filter((round) => store.body(task, place(round), 'amber') !== undefined);
      store.eraseRounds('task', 2);
      expect(left('task')).toEqual([0, 3]);
      store.eraseTask('task');
      expect(left('task')).toEqual([]);
      expect(left('another')).toEqual([1]);
    });

    test('keeps tokens, the oldest first; one is revoked once', async () => {
      const place = await newPlace();
      const store = await open(place);
      const token = {
        secretHash: 'ab',
        role: 'auditor',
        holder: 'Zoë “Z” O’Neil',
        expiresAt: 9e12,
        revokedAt: null,
      } as const;
      const [late, early] = [
        { ...token, id: '1', createdAt: 5 },
        { ...token, id: '2', createdAt: 4, role: 'operator' },
      ] as const;
      store.commit(() => {
        store.addToken(late);
        store.addToken(early);
      });
      expect(() => store.commit(() => store.addToken({ ...late, holder: 'another' }))).toThrow();
      store.commit(() => store.revokeToken('2', 7));
      store.commit(() => store.revokeToken('2', 8));
      store.close();
      expect((await open(place)).tokens()).toEqual([{ ...early, revokedAt: 7 }, late]);
    });

    test('keeps what waits for approval until it is dropped', async () => {
      const place = await newPlace();
      const store = await open(place);
      store.commit(() => {
        store.putPendingAct('b', 'first');
        store.putPendingAct('a', 'one');
        store.putPendingAct('b', 'second');
      });
      store.close();
      const again = await open(place);
      expect(again.pendingActs()).toEqual([
        { id: 'a', text: 'one' },
        { id: 'b', text: 'second' },
      ]);
      again.commit(() => again.dropPendingAct('b'));
      expect(again.pendingActs()).toEqual([{ id: 'a', text: 'one' }]);
    });

    test('uses an invitation once', async () => {
      const store = await newStore();
      store.addInvitation({ tenant: 'amber', codeHash: 'h', expiresAt: 5, usedAt: null });
      store.useInvitation('h', 1);
      store.useInvitation('h', 2);
      expect(store.invitations()).toEqual([{ tenant: 'amber', codeHash: 'h', expiresAt: 5, usedAt: 1 }]);
    });
  });
}
