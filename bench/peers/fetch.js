// undici, Node's own HTTP client, with a pool of AT_ONCE connections:
//
//	node fetch.js URL COUNT AT_ONCE        (NODE_PATH: where undici is)
//
// Bodies are kept, in order, and compared at the end.
'use strict';
const { Pool } = require('undici');

async function main() {
	const url = new URL(process.argv[2]);
	const count = Number(process.argv[3]);
	const pool = new Pool(url.origin, { connections: Number(process.argv[4]), pipelining: 1 });

	async function fetchOne(i) {
		const { statusCode, body } = await pool.request({ path: `${url.pathname}?i=${i}`, method: 'GET' });
		const content = Buffer.from(await body.arrayBuffer());
		if (statusCode !== 200)
			throw new Error(`status ${statusCode}`);
		return content;
	}

	const start = performance.now();
	const bodies = await Promise.all(Array.from({ length: count }, (_, i) => fetchOne(i)));
	const elapsed = (performance.now() - start) / 1000;

	if (bodies.some(body => !body.length || body.length !== bodies[0].length))
		throw new Error('a body is missing');
	console.log(JSON.stringify({ jobs: count, elapsed_s: elapsed }));
	await pool.close();
}

main();
