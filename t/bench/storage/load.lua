-- Copyright (C) The Mesh contributors
-- SPDX-License-Identifier: AGPL-3.0-only

-- What wrk sends: METHOD, PREFIX and a random one of KEYS keys, a body of
-- SIZE bytes for writes, TOKEN as bearer.  FIXED: the path as it is.  Prints
-- one line "RESULT {...}" at the end.

local method = os.getenv("METHOD") or "GET"
local prefix = os.getenv("PREFIX") or "/"
local fixed  = os.getenv("FIXED")
local keys   = tonumber(os.getenv("KEYS") or "2000")
local size   = tonumber(os.getenv("SIZE") or "200")
local token  = os.getenv("TOKEN")

local headers = { ["Content-Type"] = "application/octet-stream" }
local body = nil
local words = nil

if token then
    headers["Authorization"] = "Bearer " .. token
end

if method == "PUT" then
    body = string.rep("x", size)
end

if os.getenv("WORDS") then
    words = {}
    for word in string.gmatch(os.getenv("WORDS"), "%S+") do
        words[#words + 1] = word
    end
end

function init(args)
    math.randomseed(os.time())
end

function request()
    local path

    if words then
        path = prefix .. words[math.random(#words)]
    elseif fixed then
        path = prefix
    else
        path = prefix .. math.random(0, keys - 1)
    end

    return wrk.format(method, path, headers, body)
end

function done(summary, latency, requests)
    local bad = summary.errors.status + summary.errors.connect
                + summary.errors.read + summary.errors.write
                + summary.errors.timeout

    io.write(string.format(
        'RESULT {"ops":%d,"seconds":%.3f,"bad":%d,"p50":%.3f,"p99":%.3f,'
        .. '"max":%.3f}\n',
        summary.requests, summary.duration / 1e6, bad,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        latency.max / 1000))
end
