// undici, Node's own HTTP client, with a pool of AT_ONCE connections and one promise chain to each:
//
//	node fetch.js URL COUNT AT_ONCE        (NODE_PATH: where undici is)
//
// Bodies are kept, in order, and compared at the end.
'use strict';
const { Pool } = require('undici');

async function main() {
	const url = new URL(process.argv[2]);
	const count = Number(process.argv[3]);
	const atOnce = Number(process.argv[4]);
	const pool = new Pool(url.origin, { connections: atOnce, pipelining: 1 });

	async function fetchOne(i) {
		const { statusCode, body } = await pool.request({ path: `${url.pathname}?i=${i}`, method: 'GET' });
		const content = Buffer.from(await body.arrayBuffer());
		if (statusCode !== 200)
			throw new Error(`status ${statusCode}`);
		return content;
	}

	const bodies = Array(count);
	const took = new Float64Array(count);
	let next = 0;

	async function work() {
		while (next < count) {
			const i = next++;
			const sent = performance.now();
			bodies[i] = await fetchOne(i);
			took[i] = performance.now() - sent;
		}
	}

	const start = performance.now();
	await Promise.all(Array.from({ length: atOnce }, work));
	const elapsed = (performance.now() - start) / 1000;

	if (bodies.some(body => !body.length || body.length !== bodies[0].length))
		throw new Error('a body is missing');
	took.sort();
	const us = share => took[Math.floor(share * count)] * 1000;
	console.log(JSON.stringify({ jobs: count, elapsed_s: elapsed, p50_us: us(0.5), p99_us: us(0.99) }));
	await pool.close();
}

main();
