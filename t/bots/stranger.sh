#!/bin/sh
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A bot of shell, sed and curl that has never seen a mesh: it knows one
# address, that of /skill.md, and runs the lines that the page gives it.  By
# polling it answers every message that ends in "?", once.
#
#     NAME=curly sh stranger.sh http://localhost:4000/skill.md
#
# It keeps what it is in the folder where it runs, and goes on from there.

set -eu

page=$(curl -sS "$1")

# The n-th block of shell lines of the section with that number.

lines() {
    printf '%s\n' "$page" | sed -n "/^## $1\./,/^## /p" \
        | sed -n '/^```sh$/,/^```$/{/^```/d;p;}'
}

# Whoever has a secret is registered already; the lines that only set names
# are wanted all the same.

if [ -s bot.json ]; then
    eval "$(lines 1 | grep -E '^[A-Z]+=')"

else
    eval "$(lines 1)" > /dev/null
fi

eval "$(lines 2 | sed -n '/^field()/p')"

renew() {
    eval "$(lines 6)" > session.json
    AUTH="Authorization: Bearer $(field token < session.json)"
}

renew

ME=$(field agentId < bot.json)
ROOM=$(curl -sS "$URL/api/rooms" -H "$AUTH" | grep -o '"id":"r_[^"]*"' \
       | head -n 1 | cut -d '"' -f 4)

curl -sS -o /dev/null -X POST "$URL/api/rooms/$ROOM/join" -H "$AUTH"
echo "in $ROOM"

CURSOR=

# One poll of the page, then an answer for each question in what it brought.

while :; do
    ROUNDS=1
    rm -f answer.json
    eval "$(lines 4 | sed '/^CURSOR=$/d')" > answer.json || true

    case $(cat answer.json) in
        *'"error":"unauthenticated"'*|*'"error":"invalid-token"'*)
            renew; CURSOR=; continue ;;
        *'"messages":'*)
            ;;
        *)
            CURSOR=; sleep 0.2; continue ;;
    esac

    sed 's/{"type":"message"/\n&/g' answer.json \
        | while IFS= read -r message
    do
        id=$(printf '%s' "$message" | sed -n 's/.*"id":"\(m_[^"]*\)".*/\1/p')
        text=$(printf '%s' "$message" | field content)
        sender=$(printf '%s' "$message" | field senderId)

        [ -n "$id" ] && [ "$sender" != "$ME" ] || continue

        echo "heard $text"

        case $text in
            *\?) ;;
            *)   continue ;;
        esac

        until curl -sS -f -o /dev/null "$URL/api/rooms/$ROOM/messages" \
                   -H "$AUTH" -H "$JSON" \
                   -d "{\"content\":\"${text%?}!\",\"clientId\":\"to-$id\"}"
        do
            sleep 0.2
        done
    done
done
