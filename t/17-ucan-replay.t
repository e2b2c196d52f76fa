#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# An invocation counts once: in every worker, over a reload, over a restart
# when the store is asked; a session as often as it likes.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $did = Mesh::Test::Mint->did('mesh');


sub create {
    my ($zone, %options) = @_;

    return Mesh::Test->new(
        modules => [qw(ucan storage)],
        data    => 1,
        workers => 3,
        conf    => <<"END",
    ucan_audience  $did;
    $zone

    mesh_storage   %%DATA%%/mesh.db;

    server {
        listen  127.0.0.1:%%PORT%%;

        location / {
            empty_gif;
            ucan          on;
            ucan_require  /room;
        }

        location /led/ {
            ucan          on;
            ucan_require  /room;
            try_files     /none \@other;
        }

        location \@other {
            empty_gif;
            ucan          on;
            ucan_require  /room/read;
            ucan_depth    8;
        }

        location /later/  { empty_gif; ucan on; ucan_leeway 1h; }
        location /often/  { empty_gif; ucan on; ucan_replay off; }
        location /stored/ { empty_gif; ucan on; ucan_replay store; }
    }
END
        %options,
    );
}


# One delegation to ada, and invocations of it: each with a nonce of its own.

sub invocations {
    my ($count, %option) = @_;

    my $exp   = $option{exp} // 600;
    my $lines = "delegation d iss=mesh aud=ada cmd=/room\n";

    for my $i (1 .. $count) {
        $lines .= "invocation i$i iss=ada cmd=/room/read prf=d exp=$exp"
                . " nonce=n$$-$i-" . rand . "\n"
                . "container c$i list=d,i$i\n";
    }

    my $made = Mesh::Test::Mint->mint($lines);

    return map { $made->{"c$_"} } 1 .. $count;
}


sub status {
    my ($mesh, $token, $path) = @_;

    return $mesh->get($path // '/', token => $token)->status;
}


my $mesh = create('ucan_replay_zone  invocations:1m;');

$mesh->start;

my ($first, $second, $third, $fourth) = invocations(4);

is(status($mesh, $first), 200, 'an invocation is accepted');

is(join(' ', map { status($mesh, $first) } 1 .. 12),
   join(' ', (401) x 12), '... and by no worker again');

my $reply = $mesh->get('/', token => $first);

is($reply->json->{detail}, 'the invocation was used before',
   '... and the answer says why');
like($mesh->error_log, qr/refused: token-replayed .*token "bafy/,
     '... as does the log');

is(status($mesh, $second), 200, 'another one is another one');

$mesh->reload;

is(status($mesh, $second), 401, 'a reload forgets none');

is(status($mesh, $third, '/often/'), 200, 'where replay is off ...');
is(status($mesh, $third, '/often/'), 200, '... it counts again');
is(status($mesh, $third), 200, '... and was not used up for elsewhere');

is(status($mesh, $fourth, '/led/'), 200,
   'a request that is led on is still the same one');
is(status($mesh, $fourth, '/led/'), 401, '... and was used by it');


# A location that is lenient about the end takes no second use after it.

my ($short) = invocations(1, exp => 2);
my $ends    = time + 3;

is(status($mesh, $short), 200, 'an invocation that ends soon is accepted');
$mesh->wait_for(sub { time > $ends }, 20, 'its end');
status($mesh, $_) for invocations(3);
is(status($mesh, $short, '/later/'), 401,
   '... and not again by a location with more leeway');


# A session may come again; what cannot be remembered is no invocation.

my $made = Mesh::Test::Mint->mint(<<'END');
delegation d iss=mesh aud=ada cmd=/room
invocation s iss=ada sub=ada cmd=/session/open exp=600 nonce=x
container session list=d,s
invocation long iss=ada cmd=/room/read prf=d exp=90000 nonce=x
container long list=d,long
invocation ever iss=ada cmd=/room/read prf=d exp=none nonce=x
container ever list=d,ever
END

is(join(' ', map { status($mesh, $made->{session}) } 1 .. 4),
   '200 200 200 200', 'a session is not used up');

is($mesh->get('/', token => $made->{long})->json->{detail},
   'the session has no expiry or lasts too long',
   'what would have to be remembered beyond ucan_session_max is refused');
is(status($mesh, $made->{ever}), 401, '... and what has no end');
is(status($mesh, $made->{ever}, '/often/'), 200,
   '... but not where none is remembered');


# What the store remembers outlives nginx.

my ($kept, $fresh) = invocations(2);

is(status($mesh, $kept, '/stored/'), 200, 'the store is asked as well');
is(status($mesh, $kept, '/stored/'), 401, '... and so is the zone');

$mesh->stop;
$mesh->start;

is(status($mesh, $kept, '/stored/'), 401, 'a restart forgets none of these');
is(status($mesh, $fresh, '/stored/'), 200, '... and takes others');


# 64 at the same time: one of them is the first.

my ($raced) = invocations(1);

my @begun = map { $mesh->begin(GET => '/stored/', token => $raced) } 1 .. 64;
my %seen;

$seen{ $_->reply->status }++ for @begun;

is_deeply(\%seen, { 200 => 1, 401 => 63 }, 'of 64 at once one counts');

$mesh->stop;


# A full zone refuses, and says what to do.

$mesh = create('ucan_replay_zone  invocations:32k;');
$mesh->start;
$mesh->allow_log(qr/zone "invocations" is full/);

my %answers;

$answers{ status($mesh, $_) }++ for invocations(200);

ok($answers{200} && $answers{503} && keys %answers == 2,
   'a full zone refuses with 503')
    or diag(join ' ', %answers);
like($mesh->error_log, qr/make it larger in "ucan_replay_zone"/,
     '... and the log names the cure');

done_testing();
