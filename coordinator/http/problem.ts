import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isStorageError } from '../../aggregation/exit.ts';
import { PlanRefused } from '../../aggregation/plan-refused.ts';
import { AccessRefused } from '../access/access-refused.ts';
import { EnrolmentRefused } from '../enrolment.ts';

/** RFC 9457 problem details: what is wrong and where, never anything of the inside. */
export function sendProblem(
  reply: FastifyReply,
  status: number,
  title: string,
  detail: string,
  field?: string,
): FastifyReply {
  return reply
    .code(status)
    .type('application/problem+json')
    .send({ type: 'about:blank', title, status, detail: short(detail), ...(field === undefined ? {} : { field }) });
}

/** What is wrong is often the caller's own text, of any length: no more of it comes back than a person reads. */
const short = (detail: string): string => (detail.length > 500 ? `${detail.slice(0, 499)}…` : detail);

/** For bytes that are no HTTP, or come too slowly: there is no request yet, and so no reply either. */
export function notHttp(error: Error & { readonly code?: string }, socket: Socket): void {
  const status = NO_HTTP[error.code ?? ''] ?? 400;
  const title = STATUS_CODES[status]!;
  const body = JSON.stringify({ type: 'about:blank', title, status, detail: 'this is no request that could be read' });
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    `content-length: ${body.length}`,
    'content-type: application/problem+json',
    'connection: close',
  ];
  if (socket.writable && error.code !== 'ECONNRESET') socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroy();
}

const NO_HTTP: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** For what the router refuses before there is a route: Fastify would answer in a form of its own, and repeat the path. */
export const routerProblem = (error: FastifyError, _: FastifyRequest, reply: FastifyReply): FastifyReply =>
  sendProblem(
    reply,
    error.statusCode ?? 400,
    'Bad request',
    'the path of this request is none that could be here; see /docs',
  );

/** To who asks for a change while this coordinator ends. */
export const sendRestarts = (reply: FastifyReply): FastifyReply =>
  sendProblem(
    reply.header('retry-after', '5'),
    503,
    'Restarts',
    'this coordinator is about to end; ask again in a few seconds',
  );

export function answerWithProblems(app: FastifyInstance): void {
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, 404, 'Not found', `there is nothing at ${request.url}; see /docs`),
  );
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof PlanRefused) return sendProblem(reply, 422, 'Plan refused', error.message, error.field);
    if (error instanceof EnrolmentRefused) return sendProblem(reply, 403, 'Enrolment refused', error.message);
    if (error instanceof AccessRefused) return sendProblem(reply, error.status, 'Refused', error.message);
    const { statusCode, message } = error as { statusCode?: number; message: string };
    if (statusCode !== undefined && statusCode < 500) return sendProblem(reply, statusCode, 'Bad request', message);
    request.log.error({ err: error }, 'request failed');
    if (isStorageError(error))
      return sendProblem(
        reply,
        507,
        'Storage',
        // a database that is lost on the way may have kept it all the same
        'the disk is full, read-only or damaged, or the database is gone; look before you try again: most likely nothing of this was recorded',
      );
    return sendProblem(reply, 500, 'Internal error', 'the coordinator met an error; its log says more');
  });
}
