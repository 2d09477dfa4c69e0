import fc from 'fast-check';
import { decodeFromCoordinator, fromCoordinator } from '../../aggregation/wire.ts';
import { startBackend } from '../../models/backend.ts';
import { recordedFrames } from './corpus.ts';
import { havoc } from './havoc.ts';
import { WORDS } from './lines.ts';
import { type Change, change, changed, isRecord } from './nearly.ts';
import { checkEvents, type Front, type ParticipantWorld, participants } from './participant-world.ts';
import { jsonSchemaOf, valuesOf } from './schema-values.ts';
import { mustHold, type Target } from './target.ts';

/**
 * A participant and a coordinator that has turned against it, or whoever sits on its wire. It declines, leaves, or passes over;
 * it never breaks, never answers one place in two ways, and says nothing at all to who has not the coordinator's key.
 */
export const participant = (): Target<Told> => ({
  name: 'participant',
  inputs: fc.record({ depth: fc.nat(3), tenant: fc.nat(4), lies: fc.array(lie(), { minLength: 1, maxLength: 6 }) }),
  async open() {
    const backend = await startBackend('cpu');
    const worlds = new Map<number, { world: ParticipantWorld; fed: number }>();
    return {
      async feed({ depth, tenant, lies }, saw) {
        const one = worlds.get(depth) ?? { world: await participants(backend, depth), fed: 0 };
        worlds.set(depth, one);
        one.fed += 1;
        for (const lie of lies) saw(await told(one.world.fronts[tenant]!, lie));
        if (one.fed < CONVERSATIONS) return;
        worlds.delete(depth);
        one.world.close();
      },
      async close() {
        for (const { world } of worlds.values()) world.close();
      },
    };
  },
});

/** With one world; then its participants have declined most of what they were asked. */
const CONVERSATIONS = 400;

interface Told {
  readonly depth: number;
  readonly tenant: number;
  readonly lies: readonly TheLie[];
}

interface TheLie {
  /** a message made up; or one that was to come, with a change in it, where there is one */
  readonly message: unknown;
  readonly truth: number | null;
  readonly change: Change | null;
  /** news of the ledger as it stands in place of its own, so that the rest is looked at */
  readonly mend: boolean;
  readonly frame: 'next' | 'unsigned' | 'again' | 'garbage';
  readonly garbage: Uint8Array;
}

function lie(): fc.Arbitrary<TheLie> {
  const recorded = recordedFrames('coordinator').map(({ body }) => body);
  const known = fc.constantFrom(...recorded.map((body) => decodeFromCoordinator(body) as unknown));
  return fc.record({
    message: fc.oneof(valuesOf(jsonSchemaOf(fromCoordinator), WORDS), known),
    truth: fc.option(fc.nat(40), { freq: 5 }),
    change: fc.option(change, { freq: 6 }),
    mend: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
    frame: fc.oneof(
      { weight: 12, arbitrary: fc.constant('next' as const) },
      { weight: 1, arbitrary: fc.constantFrom('unsigned' as const, 'again' as const, 'garbage' as const) },
    ),
    garbage: havoc(recorded.filter(({ length }) => length < 4096)),
  });
}

async function told(front: Front, lie: TheLie): Promise<string> {
  if (!front.isOpen) await front.connect();
  front.said = [];
  checkEvents(front.victim);
  if (lie.frame !== 'next') return toldUnsigned(front, lie);
  await front.tell(resolved(front, lie));
  return checkEvents(front.victim);
}

async function toldUnsigned(front: Front, { frame, garbage }: TheLie): Promise<string> {
  const { seal, body } = front.last!;
  if (frame === 'again') await front.deliver({ seal, body });
  else if (frame === 'unsigned') await front.deliver({ seal: new Uint8Array(64), body });
  else await front.deliver({ seal, body: garbage });
  const outcome = checkEvents(front.victim);
  mustHold(front.said.length === 0 && !front.isOpen, 'a participant answered what its coordinator has not signed');
  mustHold(outcome === 'interrupted', 'a participant took what nobody signed for its coordinator’s word');
  return outcome;
}

function resolved(front: Front, { message, truth, change: one, mend }: TheLie): unknown {
  const known = [...front.known.values()];
  const base: unknown = truth === null || known.length === 0 ? message : known[truth % known.length];
  const lied = one === null ? base : changed(base, one);
  if (!mend || !isRecord(lied) || !('ledger' in lied)) return lied;
  return { ...lied, ledger: { entries: [], note: front.note } };
}
