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

  /** An opened sum is as long as the model: who knows the ledger as far gets the very same bytes. */
  const openedBodies = new WeakMap<Unsent, Map<string, Body>>();

  function openedBody(session: Session, message: Extract<Unsent, { type: 'opened' }>): Body {
    const bodies = openedBodies.get(message) ?? new Map<string, Body>();
    openedBodies.set(message, bodies);
    const news = `${session.ledger}-${ledger.head.size}`;
    const body = bodies.get(news) ?? withNews(session, message);
    session.ledger = ledger.head.size;
    bodies.set(news, body);
    return body;
  }

  function bodyFor(session: Session, message: Unsent): Body {
    switch (message.type) {
      case 'opened':
        return openedBody(session, message);
      case 'ask':
      case 'witness':
      case 'witnessed':
      case 'over':
        return withNews(session, message);
      default:
        return encode(message);
    }
  }

  return (session, message, left) => session.link.send(session.channel.seal(bodyFor(session, message), identity), left);
}

type WithNews = Extract<FromCoordinator, { ledger: unknown }>;
type Newsless = WithNews extends infer M ? Omit<M, 'ledger'> & Unsent : never;
