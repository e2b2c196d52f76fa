#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The module alone in front of an application: $ucan_* for upstreams, maps,
# limits and the access log, as the example of the module's README.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $did = Mesh::Test::Mint->did('mesh');
my $ada = Mesh::Test::Mint->did('ada');

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => { 'mesh.did' => "$did\n" },
    conf    => qq{
        log_format  ucan  '\$uri|\$status|\$ucan_issuer|\$ucan_root|\$ucan_cid'
                          '|\$ucan_expires|\$ucan_depth|\$ucan_error';

        map_hash_bucket_size  128;

        map \$ucan_issuer \$known {
            $ada     ada;
            default  somebody;
        }

        limit_req_zone  \$ucan_issuer zone=holders:1m rate=1r/m;

        server {
            listen        127.0.0.1:%%PORT2%%;
            server_name   localhost;

            location / {
                return 200 "\$http_x_issuer|\$http_x_root|\$http_x_known";
            }
        }
    },
    server  => q{
        access_log     logs/ucan.log ucan;
        ucan_audience  file:mesh.did;

        location / {
            ucan              on;
            ucan_require      /room/read;
            proxy_set_header  X-Issuer $ucan_issuer;
            proxy_set_header  X-Root $ucan_root;
            proxy_set_header  X-Known $known;
            proxy_pass        http://127.0.0.1:%%PORT2%%;
        }

        location /limited/ {
            ucan        on;
            limit_req   zone=holders;
            proxy_pass  http://127.0.0.1:%%PORT2%%;
        }

        location /open/ {
            ucan        off;
            proxy_set_header  X-Issuer $ucan_issuer;
            proxy_pass  http://127.0.0.1:%%PORT2%%;
        }

        location /redirected/ {
            ucan       on;
            try_files  /nothing =404;
        }

        location /returned/ {
            ucan    on;
            return  200;
        }

        location /asked/ {
            ucan    on;
            return  200 $ucan_issuer;
        }

        location /facts/ {
            ucan          on;
            ucan_require  /room/read;
            ucan_require  /room;
            add_header    X-Facts "$ucan_kind|$ucan_version|$ucan_key_type";
            add_header    X-Args  "$ucan_arg_room|$ucan_arg_n|$ucan_arg_none";
            add_header    X-About "$ucan_command|$ucan_audience";
            add_header    X-Path  $ucan_path;
            add_header    X-Required $ucan_required always;
            ucan_require_mode  any;
            empty_gif;
        }
    },
)->start;

my $token = Mesh::Test::Mint->mint(<<"END");
delegation read aud=ada cmd=/room/read
delegation bob aud=bob cmd=/room
delegation further iss=bob aud=bot cmd=/room/read
invocation open iss=ada sub=ada cmd=/session/open
invocation bot iss=bot sub=bot cmd=/session/open
invocation past iss=ada sub=ada cmd=/session/open exp=-5
container session list=read,open
container bot list=bob,further,bot
container past list=read,past
delegation all aud=eve cmd=/mesh
invocation eve iss=eve sub=eve cmd=/session/open
container eve list=all,eve
cid session_cid list=open
did bot_did key=bot
invocation act iss=ada cmd=/room/read args=room:r_1 prf=read
container act list=read,act
cid act_cid list=act
cid read_cid list=read
cid bob_cid list=bob
cid further_cid list=further
cid bot_cid list=bot
jwt root aud=ann caps={"mesh://$did/room/":{"room/read":[{}]}} exp=7200
jwt ann iss=ann caps={"mesh://$did/room/":{"room/read":[{}]}} prf=root
header proofs list=root
cid root_cid list=root
cid ann_cid list=ann
did eve_did key=eve
END


# One request, and its line of the log.

my $lines = 0;

sub ask {
    my ($path, $name, @more) = @_;

    my $reply = $mesh->get($path, ($name ? (token => $token->{$name}) : ()),
                           @more);

    # nginx writes the line after the response

    my @log = @{ $mesh->wait_for(sub {
        my @log = split /\n/, $mesh->read_file('logs/ucan.log');
        return @log > $lines && \@log;
    }) };

    $lines = @log;

    return ($reply, split /\|/, $log[-1], -1);
}


# To the application.

my ($reply, @log) = ask('/a', 'session');

is($reply->body, "$ada|$did|ada", 'the application is told who asks');
is_deeply([ @log[0 .. 4] ],
          [ '/a', 200, $ada, $did, $token->{session_cid} ],
          'the log says who asked, from which root, with which token');
cmp_ok(abs($log[5] - time - 3600), '<', 60, '... until when');
is($log[6], 2, '... over how many tokens');
is($log[7], '-', '... and no error');

($reply, @log) = ask('/a', 'bot');

is($reply->body, "$token->{bot_did}|$did|somebody", 'a longer chain');
is($log[6], 3, '... is deeper');

($reply, @log) = ask('/open/', 'session',
                     headers => { 'X-Issuer' => 'forged' });

is($reply->body, '||', 'where ucan is off nobody is known');
is($log[2], '-', '... in the log neither');


# Refusals.

($reply, @log) = ask('/a', 'past');

is_deeply([ @log[1, 2, 7] ], [ 401, '-', 'token-expired' ],
          'the log has the reason of a refusal');

($reply, @log) = ask('/a');

is_deeply([ @log[1, 2, 7] ], [ 401, '-', 'token-absent' ],
          '... or that there was no token');

($reply, @log) = ask('/a', 'eve');

is_deeply([ @log[1, 2, 7] ], [ 403, $token->{eve_did}, 'not-covered' ],
          '... and who it was that may not');


# Before and beside the access phase.

($reply, @log) = ask('/limited/', 'session');
is($log[1], 200, 'limit_req counts by holder before the access phase');

($reply, @log) = ask('/limited/', 'session');
is($log[1], 503, '... and holds one back');
is($log[2], $ada, '... whom the log names');

($reply, @log) = ask('/limited/', 'bot');
is($log[1], 200, '... not another');

($reply, @log) = ask('/redirected/', 'session');
is_deeply([ @log[1, 2] ], [ 404, $ada ], 'known when nothing was found');

($reply, @log) = ask('/returned/', 'session');
is_deeply([ @log[1, 2] ], [ 200, '-' ],
          'what never was checked is not checked for the log');

($reply, @log) = ask('/asked/', 'session');
is($reply->body, $ada, 'a variable that is asked for is found out');

($reply, @log) = ask('/asked/', 'past');
is_deeply([ $reply->body, $log[7] ], [ '', 'token-expired' ],
          '... by the same rules');


# What kind of token it was.

($reply, @log) = ask('/facts/', 'session');

is($reply->header('X-Facts'), 'session|1.0|ed25519', 'a session of 1.0');
is($reply->header('X-Args'), '||', '... has no arguments');
is($reply->header('X-About'), "|$did", '... no command, and an audience');
is($reply->header('X-Path'), "$token->{read_cid},$token->{session_cid}",
   '... and a path');
is($reply->header('X-Required'), '/room/read,/room', 'what was demanded');

($reply, @log) = ask('/facts/', 'bot');

is($reply->header('X-Path'),
   join(',', map { $token->{"${_}_cid"} } qw(bob further))
   . ",$log[4]", 'a longer path begins at the root');

($reply, @log) = ask('/facts/', 'act');

is($reply->header('X-Facts'), 'invocation|1.0|ed25519', 'an invocation');
is($reply->header('X-Args'), 'r_1||', '... has arguments');
is($reply->header('X-About'), "/room/read|$did", '... and a command');

($reply, @log) = ask('/facts/', 'ann',
                     headers => { ucans => $token->{proofs} });

is($reply->header('X-Facts'), 'session|0.10|ed25519', 'a session of 0.10');
is($reply->header('X-Path'), "$token->{root_cid},$token->{ann_cid}",
   '... has a path as well');


# A client that leaves: the log phase finds everything.

my $raw = "GET /a HTTP/1.1\r\nHost: localhost\r\n"
          . "Authorization: Bearer $token->{session}\r\n\r\n";

for (1 .. 20) {
    Mesh::Test::Exchange->new(port => $mesh->port, bytes => $raw)->abort;
}

$mesh->wait_for(sub {
    my @log = grep { m{^/a\|(?:200|499)\|\Q$ada\E\|} }
              split /\n/, $mesh->read_file('logs/ucan.log');
    return @log > 20;
});

pass('requests that were aborted are in the log with who asked');

done_testing;
