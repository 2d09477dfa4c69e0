import { describe, expect, onTestFinished, test } from 'vitest';
import type { EventStore } from '../../coordinator/event-store.ts';
import type { TaskFact } from '../../coordinator/task.ts';

/** A place that holds one store's content while no process has it open. */
export interface StorePlace {
  open(): EventStore;
}

/** What every event store promises. @param newPlace - an empty one, each time */
export function eventStoreContract(newPlace: () => Promise<StorePlace> | StorePlace): void {
  const fact = (at: number): TaskFact => ({ type: 'waiting', at });
  const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
  const open = (place: StorePlace): EventStore => {
    const store = place.open();
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
      const store = open(file);
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

      const again = open(file);
      expect(again.tasks()).toEqual([{ id: 'task', plan: '{}', signature: bytes(1, 2) }]);
      expect(again.facts('task')).toEqual(facts);
      expect(again.facts('another')).toEqual([fact(9)]);
      expect([...again.bodies('task', place)]).toEqual([
        ['amber', bytes(3)],
        ['blue', bytes(4)],
      ]);
      expect([...again.sums('task', 1)]).toEqual([{ round: 2, sum: bytes(5), contributions: 4, model: 'next' }]);
      expect([...again.sums('task', 2)]).toEqual([]);
      expect(again.ledger(1)).toEqual(['second']);
      expect(again.roster()).toEqual([
        { tenant: 'amber', key: 'ab' },
        { tenant: 'blue', key: 'cd' },
      ]);
      expect(again.parameters('hash')).toEqual(bytes(6));
      expect(again.parameters('another')).toBeUndefined();
    });

    test('commits all of a transaction, or nothing of it', async () => {
      const file = await newPlace();
      const store = open(file);
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
      const again = open(file);
      expect(again.facts('task')).toEqual([fact(1), fact(3)]);
      expect(again.ledger(0)).toEqual([]);
      expect(again.parameters('hash')).toBeUndefined();
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
        [0, 1, 2, 3].filter((round) => store.bodies(task, place(round)).size > 0);
      store.eraseRounds('task', 2);
      expect(left('task')).toEqual([0, 3]);
      store.eraseTask('task');
      expect(left('task')).toEqual([]);
      expect(left('another')).toEqual([1]);
    });

    test('keeps tokens, the oldest first; one is revoked once', async () => {
      const place = await newPlace();
      const store = open(place);
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
      expect(open(place).tokens()).toEqual([{ ...early, revokedAt: 7 }, late]);
    });

    test('keeps what waits for approval until it is dropped', async () => {
      const place = await newPlace();
      const store = open(place);
      store.commit(() => {
        store.putPendingAct('b', 'first');
        store.putPendingAct('a', 'one');
        store.putPendingAct('b', 'second');
      });
      store.close();
      const again = open(place);
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
