import type { Body } from '../aggregation/channel.ts';
import type { Identity } from '../aggregation/identity.ts';
import { encode, type FromCoordinator } from '../aggregation/wire.ts';
import type { LedgerLog } from './ledger-log.ts';
import type { Session } from './session.ts';
import type { Unsent } from './world.ts';

/** Sends a message, sealed for its connection and its place. @param left - as `Link.send` calls it */
export type Send = (session: Session, message: Unsent, left?: () => void) => void;

/** Who hears of the ledger is sent the entries it has not seen. */
export function openOutgoing(ledger: LedgerLog, identity: Identity): Send {
  function withNews(session: Session, message: Newsless): Body {
    const news = ledger.newsSince(session.ledger);
    session.ledger = ledger.head.size;
    return encode({ ...message, ledger: news } as WithNews);
  }

  /** An opened sum, or what was said before a stage, is long: who is sent the same, and knows the ledger as far, gets the very same bytes. */
  const bodiesOf = new WeakMap<Unsent, Map<string, Body>>();

  function bodyFor(session: Session, message: Unsent): Body {
    return goesToMany(message) ? sharedBody(session, message) : newBody(session, message);
  }

  const newBody = (session: Session, message: Unsent): Body =>
    hearsOfLedger(message) ? withNews(session, message) : encode(message);

  function sharedBody(session: Session, message: Unsent): Body {
    const bodies = bodiesOf.get(message) ?? new Map<string, Body>();
    bodiesOf.set(message, bodies);
    const news = hearsOfLedger(message) ? `${session.ledger}-${ledger.head.size}` : '';
    const body = bodies.get(news) ?? newBody(session, message);
    if (hearsOfLedger(message)) session.ledger = ledger.head.size;
    bodies.set(news, body);
    return body;
  }

  return (session, message, left) => session.link.send(session.channel.seal(bodyFor(session, message), identity), left);
}

/**
 * Sends what is long when nothing long is on its way over this connection: all of it at once would be as many models in memory.
 *
 * @param make - called when its turn has come; undefined when there is nothing to be sent any more
 */
export function sendInTurn(send: Send, session: Session, make: () => Unsent | undefined): void {
  session.long.push(make);
  if (session.long.length === 1) sendFirst(send, session);
}

function sendFirst(send: Send, session: Session): void {
  const [make] = session.long;
  if (make === undefined) return;
  const message = make();
  const left = (): void => {
    session.long.shift();
    sendFirst(send, session);
  };
  if (message === undefined) return left();
  session.long[0] = () => message; // whoever is sent the same meanwhile gets the very same bytes
  send(session, message, left);
}

type WithNews = Extract<FromCoordinator, { ledger: unknown }>;
type Newsless = WithNews extends infer M ? Omit<M, 'ledger'> & Unsent : never;

/** What is long and not for one alone; anything else is not kept when it has left. */
function goesToMany(message: Unsent): boolean {
  switch (message.type) {
    case 'opened':
    case 'keyed':
      return true;
    case 'plan':
      return message.parameters.length > 0;
    case 'ask':
      return message.heard.every(({ sealed }) => sealed === undefined);
    default:
      return false;
  }
}

const hearsOfLedger = (message: Unsent): message is Newsless => NEWS.has(message.type);
const NEWS: ReadonlySet<string> = new Set<WithNews['type']>(['ask', 'opened', 'witness', 'witnessed', 'over']);
