'use strict'
// The directory of identities (did:plc) with its in-memory database, kept in a file beside it:
// each operation is a line there before it is answered, and all are replayed at the next start.
const fs = require('node:fs')
const { MockDatabase, PlcServer } = require('@did-plc/server')

const [port, file] = process.argv.slice(2)

class Kept extends MockDatabase {
  turn = Promise.resolve()

  // One after the other: the in-memory database would take two operations on one predecessor.
  validateAndAddOp(did, operation) {
    const done = this.turn.then(async () => {
      await super.validateAndAddOp(did, operation)
      const line = JSON.stringify({ did, operation, at: new Date().toISOString() })
      fs.appendFileSync(file, line + '\n')
    })
    this.turn = done.catch(() => undefined)
    return done
  }

  async replay(lines) {
    for (const line of lines) {
      const { did, operation, at } = JSON.parse(line)
      await super.validateAndAddOp(did, operation)
      this.contents[did].at(-1).createdAt = new Date(at)
    }
  }
}

async function main() {
  const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
  const whole = text.slice(0, text.lastIndexOf('\n') + 1) // a line cut short was never answered
  if (whole.length < text.length) fs.writeFileSync(file, whole)
  const db = new Kept()
  await db.replay(whole.split('\n').filter(Boolean))
  const server = PlcServer.create({ db, port: Number(port) })
  await server.start()
  process.on('SIGTERM', () => server.destroy().finally(() => process.exit(0)))
}

main()
