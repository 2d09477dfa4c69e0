import type { Command } from 'commander';
import { COORDINATOR, DEFAULT_URL, makesKeys, opensKeys, runs, wholeNumber } from '../aggregation/command-options.ts';

/*
 * What a tenant can type, or an auditor. What a command does is loaded when it is called.
 */

/** `parley client` and what is below it. */
export function clientCommands(program: Command, version: string): void {
  const client = runs(opensKeys(program.command('client')))
    .description("run a tenant's client beside its data")
    .enablePositionalOptions()
    .option('--folder <folder>', 'policy.json, key, budget and models', '.')
    .option('--code <code>', 'one-time code, the first time')
    .option('--backend <name>', 'tfjs-node-gpu, webgpu, wasm or cpu; the best there is when left out')
    .option('--metrics-port <port>', 'serve /metrics and /healthz on 127.0.0.1; 0 for any free port', wholeNumber)
    .addHelpText('after', '\nExample: parley client --folder fiber-monthly --code 3f2a-…')
    .action(async (options) => (await import('./client-commands.ts')).runClient(options, version));
  makesKeys(client.command('init'))
    .description('write a key and a policy to start from')
    .requiredOption('--tenant <name>', 'the name you were invited under')
    .requiredOption('--coordinator <url>', 'where the coordinator listens; several of them with commas', addresses)
    .requiredOption('--fingerprint <fingerprint>', "the coordinator's, as the operator read it out")
    .requiredOption('--data <file>', 'CSV or Parquet file of your customers')
    .requiredOption('--schema <file>', 'the data contract: who a customer is, and which columns tasks may use')
    .option('--max-customers <number>', 'an upper bound on your customers that may be known', wholeNumber, 10_000)
    .option('--to <folder>', 'where to write', '.')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExample: parley client init --tenant fiber-monthly --coordinator http://10.0.0.7:7400 --fingerprint … --data customers.csv --schema schema.json --to fiber-monthly',
    )
    .action(async (options) => (await import('./client-commands.ts')).initClient(options));
  leavingCommands(client);
}

/** Keys, leaving, erasing, losing. The client itself must not run meanwhile: one budget, one process. */
function leavingCommands(client: Command): void {
  const inFolder = (command: Command): Command =>
    opensKeys(command).requiredOption('--folder <folder>', "the client's").option('--json', 'as JSON');
  inFolder(client.command('rekey'))
    .description('another key from now on; the budget stays. Interrupted, it goes on where it was')
    .option('--code <code>', 'a one-time code, where the old key was revoked')
    .addHelpText('after', '\nExample: parley client rekey --folder fiber-monthly')
    .action(async (options) => (await import('./rekey-command.ts')).rekey(options));
  inFolder(client.command('leave'))
    .description('leave the federation; what was released stays released')
    .addHelpText('after', '\nExample: parley client leave --folder fiber-monthly')
    .action(async (options) => (await import('./leave-command.ts')).leave(options));
  inFolder(client.command('erase'))
    .description('no longer use these customers, and say what released models still contain')
    .option('--customer <id...>', 'what stands in the customer column')
    .option(
      '--row <line...>',
      'where a row is a customer: its line in the file; rows with the same cells go with it',
      lines,
    )
    .option('--absent', 'their rows are out of the file already')
    .addHelpText('after', '\nExample: parley client erase --folder fiber-monthly --customer 7590-VHVEG')
    .action(async (options) => (await import('./erase-command.ts')).erase(options));
  inFolder(client.command('ledger'))
    .description("this tenant's own copy of the ledger, to be verified, or to restore a coordinator with")
    .argument('<file>', 'to be written; must not be there')
    .addHelpText('after', '\nExample: parley client ledger ledger.json --folder fiber-monthly')
    .action(async (file, options) => (await import('./own-ledger-command.ts')).ownLedger(file, options));
  client
    .command('migrate')
    .description("take the store's file to another version of its schema, up or down; a copy is kept")
    .requiredOption('--folder <folder>', "the client's; it must not run")
    .requiredOption('--to <version>', 'the schema: 1, 2 …', wholeNumber)
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley client migrate --folder fiber-monthly --to 1')
    .action(async (options) => (await import('./own-ledger-command.ts')).migrateClient(options));
  inFolder(client.command('restore-budget'))
    .description('where tenant.db is lost: count from the verified ledger, never less than was spent')
    .option('--ledger <export>', "an export, such as another tenant's; from the coordinator when left out")
    .addHelpText('after', '\nExample: parley client restore-budget --folder fiber-monthly')
    .action(async (options) => (await import('./restore-command.ts')).restoreBudget(options));
}

/** `parley tenant fingerprint` @param tenant - `parley tenant` */
export function fingerprintCommand(tenant: Command): void {
  opensKeys(tenant.command('fingerprint'))
    .description("this tenant's fingerprint, to read out to the others; makes the key when there is none")
    .option('--folder <folder>', "the client's folder", '.')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley tenant fingerprint --folder fiber-monthly')
    .action(async (options) => (await import('./client-commands.ts')).showFingerprint(options));
}

/** `parley ledger` */
export function ledgerCommands(program: Command): void {
  const ledger = program.command('ledger').description('read and verify the ledger');
  const source = (command: Command): Command =>
    reads(command).argument('[file]', 'an export; read from the coordinator when left out');
  source(ledger.command('show'))
    .description('the entries, one line each')
    .addHelpText('after', '\nExample: parley ledger show')
    .action(async (file, options) => (await import('./ledger-commands.ts')).showLedger(file, options));
  reads(ledger.command('export'))
    .description('the whole ledger in a file that can be verified offline')
    .argument('<file>', 'to be written; must not be there')
    .addHelpText('after', '\nExample: parley ledger export ledger.json --folder north')
    .action(async (file, options) => (await import('./ledger-commands.ts')).exportLedger(file, options));
  reads(ledger.command('verify'), PINS)
    .argument('[file]', 'an export; read from the coordinator when left out')
    .description('check chain, tree, signatures, cosignatures and every charge, and compute every ε again; or a proof')
    .option('--fingerprint <fingerprint>', "the coordinator's, as you know it")
    .option('--roster <file>', 'keys as you know them, from `parley ledger roster`')
    .addHelpText('after', '\nExample: parley ledger verify ledger.json --folder north')
    .action(async (file, options) => (await import('./ledger-commands.ts')).verifyLedger(file, options));
  reads(ledger.command('prove'))
    .description('a proof that an entry is in the ledger, for someone who has not got the others')
    .argument('<entry>', 'its number', wholeNumber)
    .option('--file <export>', 'an export; read from the coordinator when left out')
    .option('--to <file>', 'to be written; printed when left out')
    .addHelpText('after', '\nExample: parley ledger prove 12 --to entry-12.proof')
    .action(async (entry, options) => (await import('./ledger-commands.ts')).proveEntry(entry, options));
  source(ledger.command('roster'))
    .description('keys of the coordinator and of the newest roster, to compare aloud and keep (C2SP tlog-policy)')
    .option('--to <file>', 'to be written; printed when left out')
    .addHelpText('after', '\nExample: parley ledger roster --to roster.txt')
    .action(async (file, options) => (await import('./ledger-commands.ts')).showRoster(file, options));
}

/** `parley report` */
export function reportCommand(program: Command): void {
  reads(program.command('report'), PINS)
    .description('what a period, and the whole ledger, tells about one customer: for whoever has to answer for it')
    .argument('[file]', 'an export; read from the coordinator when left out')
    .requiredOption('--period <period>', '2026, 2026-Q4, 2026-11 or all; days are in UTC')
    .option('--html <file>', 'a page to print or hand on; must not be there')
    .option('--registry <file>', 'YAML records for the registry of deployments (OpenDP, NIST); must not be there')
    .option('--audit <file>', 'what `parley audit --json` printed')
    .option('--fingerprint <fingerprint>', "the coordinator's, as you know it")
    .option('--roster <file>', 'keys as you know them, from `parley ledger roster`')
    .addHelpText('after', '\nExample: parley report ledger.json --period 2026-Q4 --html report.html --folder north')
    .action(async (file, options) => (await import('./report-command.ts')).report(file, options));
}

/** `parley keys` */
export function keysCommands(program: Command): void {
  const keys = program
    .command('keys')
    .description("protect a folder's keys, and its budget, with a passphrase or a key file");
  const inFolder = (command: Command): Command =>
    opensKeys(command).requiredOption('--folder <folder>', "a client's or a coordinator's").option('--json', 'as JSON');
  inFolder(keys.command('protect'))
    .description('encrypt them, in place; afterwards nothing in the folder opens without')
    .addHelpText('after', '\nExample: parley keys protect --folder fiber-monthly')
    .action(async (options) => (await import('./keys-commands.ts')).protectKeys(options));
  inFolder(keys.command('unprotect'))
    .description('decrypt them, in place')
    .addHelpText('after', '\nExample: parley keys unprotect --folder fiber-monthly --key-file /etc/parley/key')
    .action(async (options) => (await import('./keys-commands.ts')).unprotectKeys(options));
  inFolder(keys.command('change-passphrase'))
    .description('another passphrase, from PARLEY_NEW_PASSPHRASE or the terminal; or a key file instead')
    .option('--new-key-file <file>', 'a key file, from now on')
    .addHelpText('after', '\nExample: parley keys change-passphrase --folder fiber-monthly')
    .action(async (options) => (await import('./keys-commands.ts')).changePassphrase(options));
  keys
    .command('new-key-file')
    .description('write 32 random bytes to a new file, for --key-file')
    .argument('<file>', 'must not exist')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample: parley keys new-key-file /etc/parley/key')
    .action(async (file, options) => (await import('./keys-commands.ts')).newKeyFile(file, options));
}

/** `parley predict` */
export function predictCommand(program: Command): void {
  program
    .command('predict')
    .description('score customers here, with a released model; no row leaves this machine')
    .requiredOption('--model <folder>', 'model folder of a training task')
    .option('--segments <folder>', 'model folder of a segmentation task: adds the segment')
    .option('--customer <json>', 'one customer as a JSON object')
    .option('--input <file>', 'CSV or Parquet file of customers')
    .option('--output <file>', 'CSV to write: the input with score and segment')
    .option('--backend <name>', 'tfjs-node-gpu, webgpu, wasm or cpu')
    .option('--json', 'answers as JSON')
    .addHelpText('after', '\nExample: parley predict --model models/churn --input customers.csv --output scored.csv')
    .action(async (options) => (await import('./predict-command.ts')).predict(options));
}

const PINS = "a client's folder: the fingerprints its policy pins; its key asks the coordinator";

/** Options of commands that read for an auditor, who has a token, or for a tenant, which has its key. */
const reads = (command: Command, folder = "a client's folder: its key asks"): Command =>
  opensKeys(command)
    .option('--coordinator <url>', COORDINATOR, DEFAULT_URL)
    .option('--token-file <file>', 'holds the token to show; or set PARLEY_TOKEN')
    .option('--folder <folder>', folder)
    .option('--json', 'as JSON');

/** One address, or several with one key behind them. */
const addresses = (text: string): string | readonly string[] => (text.includes(',') ? text.split(',') : text);

/** One after the other. */
const lines = (text: string, before: readonly number[] = []): readonly number[] => [...before, wholeNumber(text)];
