import fc from 'fast-check';
import { Packr } from 'msgpackr';
import {
  decodeFromClient,
  decodeFromCoordinator,
  encode,
  fromClient,
  fromCoordinator,
} from '../../aggregation/wire.ts';
import { WireRefused } from '../../aggregation/wire-check.ts';
import { recordedFrames } from './corpus.ts';
import { havoc } from './havoc.ts';
import { nearly } from './nearly.ts';
import { jsonSchemaOf, valuesOf } from './schema-values.ts';
import { LONGEST_REFUSAL, mustHold, type Target } from './target.ts';

/**
 * The decoder, alone: bytes of any kind, for both directions. It lets in what the schema lets in, encodes it again to what it
 * has decoded, and refuses everything else in one way.
 */
export const decoder = (): Target<Uint8Array> => ({
  name: 'decoder',
  inputs: bodies(),
  open: async () => ({
    async feed(bytes, saw) {
      const [byCoordinator, byClient] = [isLetIn(bytes, decodeFromClient), isLetIn(bytes, decodeFromCoordinator)];
      saw(byCoordinator ? 'a client may say it' : byClient ? 'a coordinator may say it' : 'refused');
      for (const name of ['polluted', 'a', 'type'])
        mustHold(!(name in Object.prototype), 'a message wrote to the prototype of all objects');
    },
    close: async () => {},
  }),
});

function isLetIn(bytes: Uint8Array, decode: (bytes: Uint8Array) => Parameters<typeof encode>[0]): boolean {
  let message: ReturnType<typeof decode>;
  try {
    message = decode(bytes);
  } catch (error) {
    if (!(error instanceof WireRefused)) throw error;
    mustHold(error.message.length <= LONGEST_REFUSAL, 'a refusal as long as what was sent');
    return false;
  }
  const again = encode(message).bytes;
  mustHold(Buffer.compare(encode(decode(again)).bytes, again) === 0, 'a message that is another when encoded again');
  return true;
}

/** Bytes as frames hold them: recorded ones, changed; made from the schemas; made from nothing. */
function bodies(): fc.Arbitrary<Uint8Array> {
  const seeds = recordedFrames().map(({ body }) => body);
  const valid = fc.oneof(...[fromClient, fromCoordinator].map((schema) => valuesOf(jsonSchemaOf(schema))));
  return fc.oneof(
    { weight: 5, arbitrary: havoc(seeds.filter(({ length }) => length < 20_000)) },
    { weight: 1, arbitrary: havoc(seeds) },
    { weight: 2, arbitrary: valid.map(packed) },
    { weight: 4, arbitrary: nearly(valid).map(packed) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }) },
  );
}

const packr = new Packr({ useRecords: false, moreTypes: false, encodeUndefinedAsNil: true });

/** Any value as msgpack, whether or not it is a message. */
export const packed = (value: unknown): Uint8Array => Uint8Array.from(packr.pack(value));
