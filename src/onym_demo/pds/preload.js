'use strict'
// Loaded before the server (node --require): it listens on 127.0.0.1 alone, whatever it asks for,
// and its clock is the machine's plus the offset in ONYM_DEMO_CLOCK_FILE, as for every program of
// the demo. So what it writes carries the demo's time: an old revision was written when it says.
const fs = require('node:fs')
const net = require('node:net')

const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (first, ...rest) {
  const port = typeof first === 'object' && first !== null ? first.port : first
  const told = rest.find((one) => typeof one === 'function')
  return listen.call(this, { port: Number(port), host: '127.0.0.1' }, told)
}

const MachineDate = Date
const file = process.env.ONYM_DEMO_CLOCK_FILE
const LOOK_MS = 20
let ahead = 0
let looked = -Infinity

function now() {
  const at = performance.now()
  if (file && at - looked > LOOK_MS) {
    looked = at
    try {
      ahead = Math.round(Number(fs.readFileSync(file, 'utf8')) * 1000)
    } catch {
      ahead = 0 // nobody has set it yet
    }
  }
  return MachineDate.now() + ahead
}

globalThis.Date = new Proxy(MachineDate, {
  construct: (_, given, asked) =>
    Reflect.construct(
      MachineDate,
      given.length ? given : [now()],
      asked === globalThis.Date ? MachineDate : asked,
    ),
  apply: () => new MachineDate(now()).toString(),
  get: (_, name) => (name === 'now' ? now : Reflect.get(MachineDate, name)),
})
