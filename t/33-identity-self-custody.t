#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Those who keep their own key: they prove it, get their role as delegations,
# sign their own sessions, and delegate to their bots themselves.

use strict;
use warnings;

use FindBin;
use IO::Uncompress::Gunzip ();
use MIME::Base64 ();
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $node = Mesh::Test::Identity->new(workers => 2)->start;
my $one = 'r_' . '1' x 26;
my $two = 'r_' . '2' x 26;
my $did = $node->data . '/mesh.did';

sub mesh {
    my (@args) = @_;

    my ($rc, $out, $err) = $node->mesh(@args);

    die "mesh @args: $err" if $rc != 0;

    $out =~ s/\s+\z//;

    return $out;
}

sub new_key {
    my ($name) = @_;

    my $file = $node->prefix . "/$name.key";

    mesh('key', 'new', $file);

    return ($file, mesh('key', 'show', $file));
}

sub session {
    my ($key, @proofs) = @_;

    return mesh('token', '--key', $key, '--audience', $did,
                map { ('--proof', $_) } @proofs);
}

# A container less the envelopes that hold some text.

sub without {
    my ($container, $text) = @_;

    my $packed = MIME::Base64::decode_base64url(substr $container, 1);

    IO::Uncompress::Gunzip::gunzip(\$packed => \my $bytes);

    my ($count, $rest) = $bytes =~ /\A\xa1\x66ctn-v1([\x80-\x97])(.*)\z/s
        or die 'not a small container';
    my @kept;

    while ($rest =~ s/\A\x58(.)|\A\x59(..)//s) {
        my $item = substr $rest, 0,
                          defined $1 ? ord $1 : unpack('n', $2), '';
        push @kept, $item if index($item, $text) < 0;
    }

    return 'C' . MIME::Base64::encode_base64url(
        "\xa1\x66ctn-v1" . chr(0x80 + @kept)
        . join '', map { "\x59" . pack('n', length) . $_ } @kept);
}


sub register {
    my ($name, $key, $holder) = @_;

    return $node->post('/api/auth/register', {
        name => $name, did => $holder, proof => session($key) });
}


# Registration: the first may keep their key as well.

my ($ada_key, $ada_did) = new_key('ada');
my $reply = register('ada', $ada_key, $ada_did);
my $ada = $reply->json;

is($reply->status, 201, 'somebody with a key registers');
is($ada->{role}, 'owner', 'the first is the owner');
is($ada->{did}, $ada_did, 'under the DID they came with');
ok(!exists $ada->{token}, 'there is no token: nobody else has the key');
ok($ada->{delegations}, 'but the delegations of the role');

my $token = session($ada_key, $ada->{delegations});

is($node->may($token, '/mesh/admin'), 200, 'with them the key opens sessions');
is($node->get('/api/auth/me', token => $token)->json->{custodial},
   JSON::PP::false, 'and the mesh knows that it does not keep the key');
is($node->get('/api/auth/me', token => $ada->{delegations})->status, 401,
   'delegations alone are no login');

is(register('ada again', $ada_key, $ada_did)->status, 409,
   'a DID is registered once');


# What is no proof.

my ($eve_key, $eve_did) = new_key('eve');
my $other = $node->prefix . '/other';

mesh('init', $other);

my %proofs = (
    'of another key'       => session($eve_key),
    'for another mesh'     => mesh('token', '--key', $ada_key, '--audience',
                                   "$other/mesh.did"),
    'that is a delegation' => $ada->{delegations},
    'that is noise'        => 'Pnoise',
    'that is empty'        => '',
);

my ($bob_key, $bob_did) = new_key('bob');

for my $what (sort keys %proofs) {
    my $no = $node->post('/api/auth/register', {
        name => 'x', did => $bob_did, proof => $proofs{$what} });

    is($no->status, 400, "a proof $what proves nothing");
    like($no->json->{detail}, qr/proof/, 'and that is said');
}

is($node->post('/api/auth/register', { name => 'x', did => $bob_did })
   ->status, 400, 'without a proof a DID is a claim');


# Another one, and what becomes of a changed role.

my $bob = register('bob', $bob_key, $bob_did)->json;

is($bob->{role}, 'member', 'the next is a member');

my $bobs = session($bob_key, $bob->{delegations});

is($node->may($bobs, '/room/send', $one), 200, 'who may talk');
is($node->may($bobs, '/role/manage'), 403, 'and not more');
is($node->get('/api/auth/me?delegations=1', token => $bobs)->json
   ->{delegations}, $bob->{delegations}, 'the delegations can be had again');

is($node->patch("/api/participants/$bob->{participantId}",
                { role => 'admin' }, token => $token)->status, 200,
   'the owner changes the role');
is($node->get('/api/auth/me', token => $bobs)->status, 401,
   'the old delegations are void');

my $login = $node->post('/api/auth/login', { did => $bob_did,
                                             proof => session($bob_key) });

is($login->status, 200, 'the key itself is enough to get the new ones');
isnt($login->json->{delegations}, $bob->{delegations}, 'which are others');

$bobs = session($bob_key, $login->json->{delegations});

is($node->may($bobs, '/role/manage'), 200, 'and allow what the role allows');
is($node->post('/api/auth/login', { did => $eve_did,
                                    proof => session($eve_key) })
   ->json->{error}, 'not-a-participant', 'who is not registered has none');


# Bots of somebody with a key.

$reply = $node->post('/api/agents/bootstrap', { name => 'bare' },
                     token => $bobs);

is($reply->status, 403, 'nobody delegates in the place of a key');
like($reply->json->{detail}, qr/custodian/, 'the answer says what to send');

my $custodian = $node->get('/api/auth/me', token => $bobs)
                ->json->{custodian};
my $agreed = mesh('delegate', '--key', $bob_key, '--from',
                  $login->json->{delegations}, '--to', $custodian,
                  '--command', '/room/read', '--command', '/room/send',
                  '--arg', "room=$one");

$reply = $node->post('/api/agents/bootstrap',
                     { name => 'kept', delegations => $agreed },
                     token => $bobs);

is($reply->status, 201, 'a delegation to the custodian makes a bot');

my $kept = $reply->json;

is_deeply([ map { $node->may($kept->{token}, '/room/send', $_) } $one, $two ],
          [ 200, 403 ], 'which may what was delegated, and there');
is($node->may($kept->{token}, '/dm/send'), 403, 'and nothing else');
is($node->post('/api/auth/login', { name => 'kept',
                                    password => $kept->{secret} })->status,
   200, 'it renews its session by itself');

my ($bot_key, $bot_did) = new_key('bot');
my $direct = mesh('delegate', '--key', $bob_key, '--from',
                  $login->json->{delegations}, '--to', $bot_did,
                  '--command', '/room/read', '--arg', "room=$one");

$reply = $node->post('/api/agents/bootstrap',
                     { name => 'own', did => $bot_did,
                       delegations => $direct }, token => $bobs);

is($reply->status, 201, 'so does one to a key that the bot keeps');
ok(!exists $reply->json->{secret}, 'then there is no secret to give');

my $own = session($bot_key, $reply->json->{delegations});

is_deeply([ map { $node->may($own, '/room/read', $_) } $one, $two ],
          [ 200, 403 ], 'it may what was delegated, and there');

# what the bot signs for itself

my $wider = $node->mesh('delegate', '--key', $bot_key, '--from',
                        $reply->json->{delegations}, '--to', $eve_did,
                        '--command', '/room/read');
my ($rc, $forged) = $node->mesh('delegate', '--key', $bot_key, '--subject',
                                mesh('key', 'show',
                                     $node->data . '/mesh.key'),
                                '--to', $bot_did, '--command', '/');

if ($rc == 0) {
    $forged =~ s/\s+\z//;
    is($node->may(session($bot_key, $reply->json->{delegations}, $forged),
                  '/room/send', $two), 403,
       'what it delegates to itself gives it nothing');
}

# and a bot of a custodial maker that keeps its own key

my $carol = $node->create_participant('carol');
my ($free_key, $free_did) = new_key('free');

$reply = $carol->post('/api/agents/bootstrap',
                      { name => 'free', did => $free_did,
                        rooms => [ $one ] });
is($reply->status, 201, 'a maker whose key the mesh keeps has such bots too');

my $free = session($free_key, $reply->json->{delegations});

is_deeply([ map { $node->may($free, '/room/send', $_) } $one, $two ],
          [ 200, 403 ], 'as narrow as was asked');
is($node->post('/api/auth/login', { did => $free_did,
       proof => session($free_key) })->json->{delegations},
   $reply->json->{delegations}, 'and they get their delegations again');


# A session that carries part of what its holder has passes on that part.

my $thin = session($bob_key, without($login->json->{delegations}, '/dm'));
my $all = mesh('delegate', '--key', $bob_key, '--from',
               $login->json->{delegations}, '--to', $custodian, '--command',
               '/room/read', '--command', '/dm/send');

is($node->may($thin, '/dm/send', $one), 403, 'a session may carry a part');

$reply = $node->post('/api/agents/bootstrap',
                     { name => 'thin', delegations => $all },
                     token => $thin);

is($reply->status, 201, 'who shows it makes a bot');
is_deeply([ map { $node->may($reply->json->{token}, $_, $one) }
            '/room/read', '/dm/send' ], [ 200, 403 ],
          'that has no more than the part');

# the operator signs with the key of the mesh, beside any role

my $aside = mesh('delegate', '--key', $node->data . '/mesh.key', '--to',
                 $bob_did, '--command', '/mesh/admin');

$reply = $node->post('/api/agents/bootstrap', {
    name => 'aside', commands => [ '/room/read' ],
    delegations => mesh('delegate', '--key', $bob_key, '--from', $aside,
                        '--to', $custodian, '--command', '/mesh/admin') },
    token => $bobs);

is($reply->status, 403, 'bots stand on the role of their maker alone');


# An invocation does one thing.

my $call = mesh('token', '--key', $bob_key, '--audience', $did, '--proof',
                $login->json->{delegations}, '--invoke', '/ucan/delegate');

is($node->post('/api/agents/bootstrap', { name => 'call' }, token => $call)
   ->status, 403, 'an invocation makes no bot');

is($node->del("/api/participants/$bob->{participantId}", token => $token)
   ->status, 204, 'the maker goes');
is($node->may($own, '/room/read', $one), 401, 'and its bots with it');
is($node->may($kept->{token}, '/room/read', $one), 401, 'of either kind');

$node->stop;

done_testing;
