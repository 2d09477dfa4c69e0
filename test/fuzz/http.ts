import fc from 'fast-check';
import { signedNoticeSchema } from '../../aggregation/notice.ts';
import { settingsSchema } from '../../aggregation/settings.ts';
import { havoc } from './havoc.ts';
import { type Answer, type Asked, type FuzzedServer, type Route, routesOf, startFuzzed } from './http-server.ts';
import { played } from './lives.ts';
import { nearly } from './nearly.ts';
import { type JsonSchema, jsonSchemaOf, valuesOf } from './schema-values.ts';
import { LONGEST_REFUSAL, mustHold, type Target } from './target.ts';

/**
 * Every HTTP route of a coordinator, as the running program names them: paths, headers and bodies that nobody should send, and
 * some that are no HTTP at all. The answer is one that the program meant, it tells nothing of the inside and repeats little of
 * what it was sent, and without a token nothing changes.
 */
export async function http(): Promise<Target<Request>> {
  const looking = await startFuzzed();
  const routes = await routesOf(looking);
  await looking.close();
  const tasks = await taskWords();
  return {
    name: 'http',
    inputs: fc.oneof({ weight: 9, arbitrary: asked(routes, tasks) }, { weight: 1, arbitrary: raw() }),
    async open() {
      let server = await startFuzzed();
      let fed = 0;
      return {
        async feed(input, saw) {
          if (++fed % REQUESTS === 0) {
            await server.close();
            server = await startFuzzed();
          }
          saw('raw' in input ? await sentRaw(server, input.raw) : await sent(server, input));
        },
        close: () => server.close(),
      };
    },
  };
}

/** To one server; the tasks that an operator may start would become many. */
const REQUESTS = 500;

type Request = Sent | { readonly raw: Uint8Array };
interface Sent extends Asked {
  readonly who: 'nobody' | 'somebody' | 'operator';
}

async function taskWords(): Promise<readonly string[]> {
  const { scenes } = await played();
  return [...scenes.map(({ what }) => what.split(':')[0]!), 'ada', 'eve', 'tile', 'model', '0', 'entries'];
}

const odd = fc.constantFrom(
  ...[
    '..',
    '%2e%2e%2f',
    '%00',
    '%',
    '%ff',
    'a'.repeat(3000),
    '0'.repeat(64),
    '__proto__',
    '-1',
    '1e999',
    ' ',
    '\u202e',
    '*',
    '0/000',
    'x001/000.p/1',
  ],
);

function asked(routes: readonly Route[], words: readonly string[]): fc.Arbitrary<Sent> {
  return fc.oneof(...routes.map((route) => askedOf(route, words)));
}

const ANY_BODY = [settingsSchema, signedNoticeSchema].map(jsonSchemaOf);

function askedOf(route: Route, words: readonly string[]): fc.Arbitrary<Sent> {
  const filling = fc.oneof(
    odd,
    fc.constantFrom(...words),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.stringMatching(/^[0-9a-f]{64}$/),
  );
  return fc
    .record({
      body: bodies(route.body, ANY_BODY),
      fill: filling,
      query: fc.option(filling, { freq: 3 }),
      method: fc.option(fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE'), {
        freq: 1,
        nil: undefined,
      }),
      who: fc.constantFrom('nobody' as const, 'somebody' as const, 'operator' as const, 'operator' as const),
      type: fc.constantFrom(
        'application/json',
        'application/json',
        'application/json',
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        'application/json; charset=utf-16',
        '',
        'a'.repeat(500),
      ),
      more: fc.option(
        fc.tuple(
          fc.constantFrom(
            'accept',
            'x-forwarded-host',
            'if-none-match',
            'content-encoding',
            'expect',
            'range',
            'cookie',
            'transfer-coding',
            'x-http-method-override',
          ),
          fc.string({ maxLength: 40 }).map(headerText),
        ),
        { freq: 3 },
      ),
      address: fc.nat(2 ** 24 - 1),
      chunked: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
      seed: fc.nat(),
    })
    .map((drawn): Sent => {
      const { fill, query, type, more, address, body } = drawn;
      const method = drawn.method === undefined || drawn.seed % 4 !== 0 ? route.method : drawn.method;
      const path = route.path.replace(/\{[^}]*\}/g, () =>
        drawn.seed % 3 === 0 ? fill : encodeURIComponent(lone(fill)),
      );
      const headers = {
        'x-forwarded-for': `10.${address >> 16}.${(address >> 8) & 255}.${address & 255}`,
        ...(type === '' ? {} : { 'content-type': type }),
        ...(more === null ? {} : { [more[0]]: more[1] }),
      };
      const hasBody = method !== 'GET' && method !== 'HEAD' && method !== 'TRACE';
      return {
        ...{ method, path: pathText(`${path}${query === null ? '' : `?${query}`}`), headers, who: drawn.who },
        ...{ body: hasBody ? body : undefined, chunked: drawn.chunked },
      };
    });
}

/** What a client can put on the request line at all; `raw` is for the rest. */
const pathText = (path: string): string => path.replace(/[^\u0021-\u00ff]/g, '');
const headerText = (text: string): string => text.replace(/[^\t\u0020-\u007e]/g, '');
/** Half a surrogate pair has no encoding. */
const lone = (text: string): string => text.toWellFormed();

function bodies(schema: JsonSchema | undefined, others: readonly JsonSchema[]): fc.Arbitrary<Uint8Array> {
  const own = fc.oneof(...(schema === undefined ? others : [schema, schema, ...others]).map((one) => valuesOf(one)));
  const json = fc.oneof(own, nearly(own), nearly(own)).map((value) => Buffer.from(JSON.stringify(value) ?? ''));
  return fc.oneof(
    { weight: 6, arbitrary: json },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(
          '{"__proto__":{"a":1}}',
          '{"constructor":{"prototype":{"a":1}}}',
          '',
          '{',
          '"',
          '[]',
          'null',
          '1e999',
        )
        .map((text) => Buffer.from(text)),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(100, 5_000, 200_000).map((n) => Buffer.from(`${'['.repeat(n)}${']'.repeat(n)}`)),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
    { weight: 1, arbitrary: json.map((text) => Buffer.concat([text, Buffer.alloc(30_000, 32)])) },
  );
}

const REQUEST = 'POST /notices HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}';
const CHUNKED = 'POST /tasks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
const UPGRADE =
  'GET /federation HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x82\x05hello';

function raw(): fc.Arbitrary<{ raw: Uint8Array }> {
  return havoc([REQUEST, CHUNKED, UPGRADE].map((text) => Buffer.from(text, 'latin1'))).map((bytes) => ({ raw: bytes }));
}

async function sentRaw(server: FuzzedServer, bytes: Uint8Array): Promise<string> {
  const before = server.state();
  const text = await server.raw(bytes);
  mustHold(!/^HTTP\/1\.1 5/.test(text), `the server answers bytes with ${text.slice(0, 30)}`);
  checkInside(text, server);
  mustHold(server.state() === before, 'bytes without a token changed something');
  return text === '' ? 'closed' : `${/^HTTP\/1\.[01] ([0-9]{3})/.exec(text)?.[1] ?? 'no HTTP'} (raw)`;
}

async function sent(server: FuzzedServer, { who, ...asked }: Sent): Promise<string> {
  const before = server.state();
  const shown = { nobody: undefined, somebody: `Bearer plt_${'a'.repeat(60)}`, operator: `Bearer ${server.token}` }[
    who
  ];
  const authorization = shown === undefined ? {} : { authorization: shown };
  const answer = await server.ask({ ...asked, headers: { ...asked.headers, ...authorization } });
  checkAnswer(answer, asked);
  checkInside(`${JSON.stringify(answer.headers)} ${answer.status < 400 ? '' : answer.body.toString()}`, server);
  mustHold(who === 'operator' || server.state() === before, 'something changed without a token');
  return answer.status === 0 ? 'closed' : String(answer.status);
}

function checkAnswer({ status, headers, body }: Answer, { method, path }: Asked): void {
  const route = `${method} ${path.split('/')[1]?.split('?')[0]?.slice(0, 20)}`;
  mustHold(status < 500 || status === 503, `${status} from ${route}`);
  // 417, to what is expected of a server beside 100-continue, is Node's own answer and has no body
  if (status < 400 || (status === 417 && body.length === 0)) return;
  mustHold(
    headers['content-type']?.startsWith('application/problem+json') === true || method === 'HEAD',
    `${status} from ${route} is no problem+json`,
  );
  if (method === 'HEAD') return;
  const problem = JSON.parse(body.toString()) as Record<string, unknown>;
  const fields = Object.keys(problem).filter((name) => !PROBLEM.includes(name));
  mustHold(fields.length === 0, `a problem from ${route} says more than problems do`);
  mustHold(String(problem['detail']).length <= LONGEST_REFUSAL, `a refusal from ${route} as long as what was sent`);
}

const PROBLEM = ['type', 'title', 'status', 'detail', 'field', 'receipt'];

/** Paths, stacks and versions are nobody's business. */
function checkInside(text: string, { errors }: FuzzedServer): void {
  const [error] = errors.splice(0);
  mustHold(error === undefined, `the server met an error: ${error}`);
  mustHold(
    !/node_modules|\.ts:[0-9]|7\.7\.7-fuzzed|"(server|x-powered-by)"/i.test(text),
    `an answer tells of the inside: ${text.slice(0, 300)}`,
  );
}
