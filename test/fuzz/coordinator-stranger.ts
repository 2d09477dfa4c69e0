import fc from 'fast-check';
import { decodeFromClient, fromClient } from '../../aggregation/wire.ts';
import type { CoordinatorLife } from './coordinator-life.ts';
import { recordedFrames } from './corpus.ts';
import { packed } from './decoder.ts';
import { havoc } from './havoc.ts';
import { WORDS } from './lines.ts';
import { Lives } from './lives.ts';
import { HOSTILE } from './names.ts';
import { nearly } from './nearly.ts';
import { jsonSchemaOf, valuesOf } from './schema-values.ts';
import { Speaker } from './speaker.ts';
import { mustHold, type Target } from './target.ts';

/**
 * A coordinator and whoever has no key: strangers at its door, and somebody who sits on a tenant's wire. Nothing they send is
 * recorded, and no tenant loses its connection by what arrives on another.
 */
export const coordinatorStranger = (): Target<Intrusion> => ({
  name: 'coordinator-stranger',
  inputs: fc.record({ scene: fc.nat(99), frames: fc.array(frame(), { minLength: 1, maxLength: 4 }) }),
  async open() {
    const lives = await Lives.open(2_000);
    return {
      feed: ({ scene, frames }, saw) => lives.at(scene, (life) => intrude(life, frames, saw)),
      close: () => lives.close(),
    };
  },
});

interface Intrusion {
  readonly scene: number;
  readonly frames: readonly Thrown[];
}

interface Thrown {
  /** `wire`: in the middle of a tenant's connection */
  readonly on: 'door' | 'wire';
  readonly seal: Uint8Array;
  readonly body: Uint8Array;
}

function frame(): fc.Arbitrary<Thrown> {
  const recorded = recordedFrames('client').map(({ body }) => body);
  const short = recorded.filter((body) => body.length < 4096);
  const greetings = recorded.filter((body) => decodeFromClient(body).type === 'identify');
  const valid = valuesOf(jsonSchemaOf(fromClient), WORDS);
  return fc.record({
    on: fc.oneof(
      { weight: 4, arbitrary: fc.constant('door' as const) },
      { weight: 1, arbitrary: fc.constant('wire' as const) },
    ),
    seal: fc.oneof(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.uint8Array({ maxLength: 65 })),
    body: fc.oneof(
      { weight: 3, arbitrary: havoc(short) },
      { weight: 1, arbitrary: havoc(recorded) },
      { weight: 3, arbitrary: havoc(greetings) },
      { weight: 2, arbitrary: fc.oneof(valid, nearly(valid)).map(packed) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 128 }) },
    ),
  });
}

async function intrude(
  life: CoordinatorLife,
  frames: readonly Thrown[],
  saw: (outcome: string) => void,
): Promise<void> {
  const { store, coordinator, hostile } = life;
  if (!hostile.isOpen) await life.welcome(hostile); // what somebody put on its wire has ended its connection
  const writes = store.writes();
  let stranger: Speaker | undefined;
  for (const { on, seal, body } of frames) {
    if (on === 'door' && !stranger?.isOpen) {
      stranger = new Speaker(HOSTILE, hostile.identity, false);
      stranger.connect(coordinator);
    }
    const speaker = on === 'door' ? stranger! : hostile;
    speaker.told = [];
    speaker.sayUnder(seal, body);
    const others = speaker.told.filter((type) => type !== 'refused');
    mustHold(others.length === 0, 'the coordinator answered what nobody signed');
    mustHold(!speaker.isOpen, 'what nobody signed did not end its connection');
    saw(`thrown out ${on === 'door' ? 'at the door' : 'on the wire'}`);
  }
  stranger?.disconnect();
  await life.settled();
  mustHold(store.writes() === writes, 'something was recorded that nobody signed');
  mustHold(coordinator.load().strangers === 0, 'a stranger that is gone is counted');
  life.checkConnections();
}
