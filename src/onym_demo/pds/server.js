'use strict'
// The PDS as its own distribution starts it: everything it is told stands in PDS_… variables.
const { PDS, envToCfg, envToSecrets, readEnv } = require('@atproto/pds')

async function main() {
  const env = readEnv()
  const pds = await PDS.create(envToCfg(env), envToSecrets(env))
  await pds.start()
  process.on('SIGTERM', () => pds.destroy().finally(() => process.exit(0)))
}

main()
