#!/bin/sh
# A plugin in POSIX sh that knows nothing of Remora: it answers every request with its own method's name.
echo "ready to serve" >&2
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/^{"id":\([0-9]*\),.*/\1/p')
  method=$(printf '%s' "$line" | sed -n 's/.*"method":"\([a-z]*\)".*/\1/p')
  [ -n "$id" ] || continue
  case $method in
    fail) printf '{"id":%s,"error":"it failed"}\n' "$id" ;;
    *) printf '{"id":%s,"result":{"method":"%s"}}\n' "$id" "$method" ;;
  esac
done
