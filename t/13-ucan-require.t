#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What a location demands: commands with arguments from the request, all of
# which must hold, for sessions of both versions and for single invocations.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $did = Mesh::Test::Mint->did('mesh');

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => { 'mesh.did' => $did },
    server  => q{
        ucan           on;
        ucan_audience  file:mesh.did;
        ucan_replay    off;

        set            $room  r_1;

        location /any/   { empty_gif; }
        location /read/  { empty_gif; ucan_require /room/read; }
        location /send/  { empty_gif; ucan_require /room/send; }
        location /all/   { empty_gif; ucan_require /room; }
        location /arg/   { empty_gif; ucan_require /room/read room=$arg_room; }

        location /fixed/ {
            empty_gif;
            ucan_require /room/read room=$room kind=public;
        }

        location /both/ {
            empty_gif;
            ucan_require /room/read room=$arg_room;
            ucan_require /room/list;
        }

        location /method/ {
            empty_gif;
            ucan_require /room/read;

            limit_except GET {
                ucan_require /room/send;
            }
        }

        location /outer/ {
            empty_gif;
            ucan_require /room/send;

            location /outer/open/ { empty_gif; ucan_require off; }
            location /outer/read/ { empty_gif; ucan_require /room/read; }
        }

        location /below/ {
            empty_gif;
            ucan_require   /file/read;
            ucan_resource  https://example.org/$arg_file prefix;

            location /below/exact/ {
                empty_gif;
                ucan_resource  https://example.org/$arg_file;
            }
        }

        location /none/ { empty_gif; ucan off; }
        location /maybe/ { empty_gif; ucan optional; }
    },
)->start;

my $files = 'https://example.org';
my $token = Mesh::Test::Mint->mint(<<"END");
delegation read aud=ada cmd=/room/read
delegation list aud=ada cmd=/room/list
delegation one aud=bot cmd=/room/read room=r_1
delegation one_list aud=bot cmd=/room/list
delegation all aud=eve cmd=/

invocation ada iss=ada sub=ada cmd=/session/open
invocation bot iss=bot sub=bot cmd=/session/open
invocation eve iss=eve sub=eve cmd=/session/open
container ada list=read,list,ada
container bot list=one,one_list,bot
container eve list=all,eve

invocation act iss=ada cmd=/room/read args=room:r_1 prf=read
container act list=read,act
invocation act_2 iss=ada cmd=/room/read args=room:r_1 prf=read
container act_2 list=read,act_2

jwt root aud=ann caps={"mesh://$did/room/r_1":{"room/read":[{}]}} exp=7200
jwt ann iss=ann caps={"mesh://$did/room/r_1":{"room/read":[{}]}} prf=root
header proofs list=root

jwt above aud=ann caps={"$files/a/":{"file/read":[{}]}} exp=7200
jwt narrow iss=ann caps={"$files/a/b":{"file/read":[{}]}} prf=above
header above list=above
END

sub status {
    my ($name, $path, %opt) = @_;

    my $method = delete $opt{method} || 'GET';

    return $mesh->request($method, $path, token => $token->{$name}, %opt)
        ->status;
}


# Commands.

is(status(ada => '/any/'), 200, 'a location that demands nothing lets in');
is(status(ada => '/read/'), 200, 'a session may do what it was given');
is(status(ada => '/send/'), 403, '... and nothing else');
is(status(ada => '/all/'), 403, '... and not what lies above it');
is(status(eve => '/all/'), 200, 'who holds "/" may do everything');

my $reply = $mesh->get('/send/', token => $token->{ada});

is($reply->json->{error}, 'forbidden', 'a 403 is a problem');
is($reply->json->{command}, '/room/send', '... that names the command');
is($reply->header('WWW-Authenticate'),
   'Bearer realm="mesh", error="insufficient_scope", scope="/room/send"',
   '... as its challenge does');
like($mesh->error_log,
     qr{ucan: refused "/room/send": not-covered .*issuer "did:key:},
     'the log names command, reason and holder');


# Arguments.

is(status(ada => '/arg/?room=r_2'), 200, 'without a policy any room will do');
is(status(bot => '/arg/?room=r_1'), 200, 'a policy holds on the argument');
is(status(bot => '/arg/?room=r_2'), 403, '... and refuses another');
is(status(bot => '/arg/'), 403, '... and an absent one');
is(status(bot => '/arg/?room=r_1&room=r_2'), 200,
   'the first of two is the one that nginx takes');
is(status(bot => '/read/'), 403, 'a policy refuses when nothing is asked of');
is(status(bot => '/fixed/'), 200, 'variables and texts may be mixed');
is(status(bot => '/arg/?room=' . 'x' x 2000), 403, 'too long is refused');


# Several.

is(status(ada => '/both/?room=r_1'), 200, 'all requirements hold');
is(status(bot => '/both/?room=r_2'), 403, 'one that does not is enough');
is(status(ann => '/both/?room=r_1', headers => { ucans => $token->{proofs} }),
   403, '... the second as well');


# Methods, inheritance.

is(status(ada => '/method/'), 200, 'limit_except: GET needs the first');
is(status(ada => '/method/', method => 'POST'), 403, '... POST the second');
is(status(ada => '/outer/'), 403, 'an outer requirement holds');
is(status(ada => '/outer/x/'), 403, '... is inherited');
is(status(ada => '/outer/read/'), 200, '... replaced');
is(status(ada => '/outer/open/'), 200, '... and dropped by "off"');
is(status(ada => '/none/'), 200, 'where ucan is off nothing is asked');
is($mesh->get('/none/')->status, 200, '... not even a token');
is($mesh->get('/maybe/')->status, 200, 'where it is optional neither');
is(status(ada => '/maybe/'), 200, '... and a good one is taken');
is($mesh->get('/maybe/', token => 'junk')->status, 400,
   '... but a bad one is refused');


# 0.10.

my %proofs = (headers => { ucans => $token->{proofs} });

is(status(ann => '/arg/?room=r_1', %proofs), 200,
   'a 0.10 capability is for its resource');
is(status(ann => '/arg/?room=r_2', %proofs), 403, '... and no other');
is(status(ann => '/send/?room=r_1', %proofs), 403, '... and its ability');

my %above = (headers => { ucans => $token->{above} });

is(status(narrow => '/below/?file=a/b', %above), 200,
   'with "prefix" a link may narrow to what lies below');
is(status(narrow => '/below/?file=a/b/c', %above), 200, '... which covers');
is(status(narrow => '/below/?file=a/x', %above), 403, '... and no more');
is(status(narrow => '/below/exact/?file=a/b', %above), 401,
   '... and without it is no chain');


# Invocations.

is(status(act => '/arg/?room=r_1'), 200, 'an invocation does what it says');
is(status(act => '/arg/?room=r_2'), 403, '... with its arguments');
is(status(act => '/send/'), 403, '... and nothing else');
is(status(act_2 => '/all/'), 200, '... where a command above it is demanded');

done_testing;
