#!/bin/sh
# The main job in one go: a private gatherd, a slow web server, two thousand URLs.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/build/bin
count=2000 delay_ms=50 at_once=1000

dir=$(mktemp -d "$PWD/build/demo.XXXXXX")
pids=
clean_up() {
	for pid in $pids; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Wait until a command succeeds, for 10 seconds at most.
until_ok() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || { echo "demo: gave up waiting for: $*" >&2; exit 1; }
		sleep 0.05
	done
}

build/examples/httpd --port 0 --port-file "$dir/port" >"$dir/httpd.log" 2>&1 &
pids="$pids $!"
"$bin/gatherd" --private "$dir/d" -o 'http.allow=*' -o http.per_host=0 &
pids="$pids $!"
until_ok test -s "$dir/port"
export GATHER_SOCKET="$dir/d/s"
until_ok "$bin/gather" stats

url="http://127.0.0.1:$(cat "$dir/port")/delay/$delay_ms/200?job=[1-$count]"
echo "\$ gather fetch -j $at_once --head 40 '$url'"
start=$(date +%s%N)
"$bin/gather" fetch -j "$at_once" --head 40 "$url" >"$dir/results"
end=$(date +%s%N)

echo "The first results, in the order of the arguments:"
head -n 6 "$dir/results" | sed 's/^/  /'
ms=$(((end - start) / 1000000))
echo "$count URLs of $delay_ms ms each: one after the other $((count * delay_ms / 1000)) s, here $((ms / 1000)).$(printf %03d $((ms % 1000))) s."
echo "Done by:"
"$bin/gather" workers
