#!/bin/sh
# A plugin: one request per line on standard input, one answer per line on standard output.

first() { # what an expression finds in the line
  printf '%s' "$line" | sed -n "s/$1/\\1/p"
}

upper() {
  case $line in
    *'"payload":{"text":"'*\\*) echo '"error":{"code":"INVALID_ARGUMENT","message":"too difficult for a shell script"}' ;;
    *) printf '"result":{"text":"%s"}\n' "$(first '.*"payload":{"text":"\([^"]*\)"}.*' | tr '[:lower:]' '[:upper:]')" ;;
  esac
}

echo "ready" >&2
while IFS= read -r line; do
  id=$(first '^{"id":\([0-9]*\),.*')
  [ -n "$id" ] || continue # {"cancel":1}: nothing to stop, each answer is quick
  case $(first '^{"id":[0-9]*,"service":"[^"]*","method":"\([^"]*\)".*') in
    upper) answer=$(upper) ;;
    pid) answer='"result":{"pid":'$$'}' ;;
    *) answer='"error":{"code":"NOT_FOUND","message":"no such method"}' ;;
  esac
  printf '{"id":%s,%s}\n' "$id" "$answer"
done
