import { Command, CommanderError, Option } from 'commander';
import { EXIT, type ExitCode, exitOfError } from './aggregation/exit.ts';
import { plainText } from './aggregation/plain-text.ts';
import {
  clientCommands,
  fingerprintCommand,
  keysCommands,
  ledgerCommands,
  predictCommand,
  reportCommand,
} from './client/commands.ts';
import {
  approvalCommands,
  coordinatorCommands,
  taskCommands,
  tenantCommands,
  tokenCommands,
} from './coordinator/commands.ts';
import packageJson from './package.json' with { type: 'json' };
import { auditCommand, demoCommand, privacyCommands, simulateCommand } from './simulation/commands.ts';

/**
 * `parley`: one command, each subcommand in the room it belongs to, loaded when it is called.
 */
export async function main(argv: readonly string[]): Promise<ExitCode> {
  const program = build();
  try {
    await program.parseAsync(argv as string[], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    return report(error, argv.includes('--json'));
  }
}

const { version } = packageJson;

function build(): Command {
  const program = new Command('parley')
    .description('Train customer models together: no rows leave a business unit, every ε is accounted for.')
    .version(version)
    .exitOverride()
    .enablePositionalOptions() // options belong to the command they follow: `client` would take the --json of `client init`
    .showHelpAfterError('(see --help)')
    .addHelpText('after', exitCodes);
  demoCommand(program, version);
  coordinatorCommands(program, version);
  fingerprintCommand(tenantCommands(program));
  clientCommands(program, version);
  taskCommands(program);
  tokenCommands(program);
  approvalCommands(program);
  privacyCommands(program);
  ledgerCommands(program);
  reportCommand(program);
  keysCommands(program);
  predictCommand(program);
  simulateCommand(program);
  auditCommand(program);
  for (const command of program.commands) inherit(command);
  takeCa(program);
  program.hook('preAction', async (_, action) => {
    const { tlsCa } = action.opts<{ tlsCa?: string }>();
    if (tlsCa !== undefined) (await import('./aggregation/trusted-ca.ts')).trustOnly(tlsCa);
  });
  program.hook('preAction', async (_, action) => {
    const { coordinator } = action.opts<{ coordinator?: unknown }>();
    if (typeof coordinator !== 'string' || !coordinator.includes(',')) return;
    const { readyAt } = await import('./aggregation/address.ts');
    const coordinators = coordinator.split(',');
    action.setOptionValue('coordinators', coordinators);
    action.setOptionValue('coordinator', await readyAt(coordinators));
  });
  return program;
}

/** Subcommands throw instead of exiting, so that one place decides about codes. */
function inherit(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) inherit(inner);
}

/** Whatever asks a coordinator can be told which CA to trust. */
function takeCa(command: Command): void {
  for (const inner of command.commands) takeCa(inner);
  if (!command.options.some(({ long }) => long === '--coordinator')) return;
  command.addOption(
    new Option('--tls-ca <file>', "CA of the coordinator's certificate, where it is a private one").env(
      'PARLEY_TLS_CA',
    ),
  );
}

function report(error: unknown, asJson: boolean): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const code = exitOfError(error);
  const message = error instanceof Error ? error.message : String(error);
  if (asJson) console.error(JSON.stringify({ error: message, exitCode: code }));
  else {
    const text = code === EXIT.failed && error instanceof Error ? (error.stack ?? message) : `parley: ${message}`;
    console.error(plainText(text)); // it may be a coordinator's words, and without TLS anybody's
  }
  return code;
}

const exitCodes = `
Exit codes: 0 done · 1 unexpected · 2 command line · 3 unreadable input (file, line, field) · 4 refused (plan, policy,
budget, code, version) · 5 network · 6 does not verify · 7 storage · 8 an audit that cannot tell`;
