'use strict'
// Loaded into the PDS of the tests: a name of the market's own leads to this machine.
const dns = require('node:dns')

const lookup = dns.lookup
dns.lookup = function (name, ...rest) {
  return lookup.call(this, name === 'market.onym' ? '127.0.0.1' : name, ...rest)
}
