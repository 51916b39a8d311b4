// A peer written with js-libp2p, which knows nothing of allod but the names in protocol/README.md: it identifies a node
// and asks the network, by the library's own Kademlia calls, who serves an artifact.
//
//   node find-providers.js /ip4/127.0.0.1/tcp/7641/p2p/PEERID /allod/0123456789abcdef CID
//
// Prints one JSON object; ends with status 1, and the reason on stderr, if the node cannot be asked.
import './older-node.js'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'

const PATIENCE_MS = 30_000

const [address, prefix, artifact] = process.argv.slice(2)
if (artifact == null) {
  console.error('usage: node find-providers.js MULTIADDR PREFIX CID')
  process.exit(2)
}
const signal = AbortSignal.timeout(PATIENCE_MS)
const cid = CID.parse(artifact, base32)
const libp2p = await createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    // Addresses of a private network are addresses here.
    kad: kadDHT({ protocol: `${prefix}/kad/1`, clientMode: true, peerInfoMapper: passthroughMapper })
  }
})

try {
  // The library identifies whom it dials, by itself.
  const identified = new Promise((resolve, reject) => {
    libp2p.addEventListener('peer:identify', (event) => resolve(event.detail), { once: true, signal })
    signal.addEventListener('abort', () => reject(signal.reason))
  })
  await libp2p.dial(multiaddr(address), { signal })
  const node = await identified
  const providers = new Map()
  for await (const event of libp2p.services.kad.findProviders(cid, { signal })) {
    if (event.name !== 'PROVIDER') continue
    for (const { id, multiaddrs } of event.providers) {
      providers.set(id.toString(), multiaddrs.map(String))
    }
  }
  const viaRouting = []
  for await (const { id } of libp2p.contentRouting.findProviders(cid, { signal })) viaRouting.push(id.toString())
  console.log(JSON.stringify({
    peer: node.peerId.toString(),
    agentVersion: node.agentVersion,
    protocolVersion: node.protocolVersion,
    protocols: node.protocols,
    providers: Object.fromEntries(providers),
    viaRouting
  }))
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await libp2p.stop()
}
