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
    const bodies = bodiesOf.get(message) ?? new Map<string, Body>();
    bodiesOf.set(message, bodies);
    const news = hearsOfLedger(message) ? `${session.ledger}-${ledger.head.size}` : '';
    const body = bodies.get(news) ?? (hearsOfLedger(message) ? withNews(session, message) : encode(message));
    if (hearsOfLedger(message)) session.ledger = ledger.head.size;
    bodies.set(news, body);
    return body;
  }

  return (session, message, left) => session.link.send(session.channel.seal(bodyFor(session, message), identity), left);
}

type WithNews = Extract<FromCoordinator, { ledger: unknown }>;
type Newsless = WithNews extends infer M ? Omit<M, 'ledger'> & Unsent : never;

const hearsOfLedger = (message: Unsent): message is Newsless => NEWS.has(message.type);
const NEWS: ReadonlySet<string> = new Set<WithNews['type']>(['ask', 'opened', 'witness', 'witnessed', 'over']);
