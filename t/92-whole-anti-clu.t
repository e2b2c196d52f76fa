#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A bot that was given one command on one room signs for itself whatever it
# likes: no endpoint and no socket gives it more, and the log says why not.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;
use Mesh::Test::Routes;

my $node = Mesh::Test->full(registration => 'invite');
my $owner = $node->owner;
my $room = $owner->create_room('hall');
my $other = $owner->create_room('attic');
my $secret = $owner->create_room('vault', visibility => 'private');

$owner->say($_, 'only for those who may read here') for $other, $secret;


# Two bots keep their own keys; the owner gives each "/room/read" on one room.

sub self_custody_bot {
    my ($name, $in) = @_;

    my $file = $node->prefix . "/$name.key";
    my ($rc, $did) = $node->mesh('key', 'new', $file);
    die "no key\n" if $rc != 0;

    chomp $did;

    my $reply = $owner->post('/api/agents/bootstrap', {
        name => $name, did => $did, rooms => [$in],
        commands => ['/room/read'] });

    my ($seed) = split /\n/, Mesh::Test::slurp($file);

    return "key $name seed=$seed\nimport ${name}_has text="
           . $reply->json->{delegations} . "\n";
}

my $rooms = 'mesh://' . $node->did . '/room/';
my $caps = qq({"$rooms":{"room/read":[{}]}});
my $one = qq({"$rooms$room":{"room/read":[{}]}});
my ($seed) = split /\n/, $node->read_file('data/mesh.key');
my $lines = "key mesh did=" . $node->did . "\nkey owner did=" . $owner->did
    . "\n" . self_custody_bot('clu', $room) . self_custody_bot('tron', $other);

my $token = Mesh::Test::Mint->mint($lines . <<"END");
key false_mesh did=${\$node->did} by=clu
key false_owner did=${\$owner->did} by=clu

invocation open iss=clu sub=clu cmd=/session/open
invocation open_2 iss=clu sub=clu cmd=/session/open nonce=another
invocation open_sam iss=sam sub=sam cmd=/session/open
container good form=P list=clu_has,open
container good_2 form=P list=clu_has,open_2

delegation wide_room iss=clu aud=sam cmd=/room/read room=$other
container other_room form=P list=clu_has,wide_room,open_sam
delegation wide_command iss=clu aud=sam cmd=/room
container wide_command form=P list=clu_has,wide_command,open_sam
delegation wide_all iss=clu aud=sam cmd=/
container wide_all form=P list=clu_has,wide_all,open_sam
delegation power iss=clu aud=sam sub=null cmd=/
container power form=P list=clu_has,power,open_sam
delegation own iss=clu aud=clu cmd=/
delegation own_send iss=clu aud=clu cmd=/room/send room=$room
container to_itself form=P list=clu_has,own,own_send,open
delegation own_subject iss=clu aud=clu sub=clu cmd=/
container own_subject form=P list=own_subject,open

delegation from_mesh iss=false_mesh aud=clu cmd=/
container false_root form=P list=from_mesh,open
delegation from_owner iss=false_owner aud=clu cmd=/
container false_link form=P list=clu_has,from_owner,open
forgery cut_wide list=wide_all
container cut_wide form=P list=clu_has,cut_wide,open_sam
invocation as_owner iss=false_owner sub=owner cmd=/session/open
container as_owner form=P list=clu_has,as_owner
invocation for_owner iss=clu sub=owner cmd=/session/open
container for_owner form=P list=clu_has,for_owner
forgery bad_open list=open
container bad_open form=P list=clu_has,bad_open

container bare form=P list=clu_has
container borrowed form=P list=tron_has,open
container two form=P list=clu_has,tron_has,open
invocation endless iss=clu sub=clu cmd=/session/open exp=none
container endless form=P list=clu_has,endless
invocation long iss=clu sub=clu cmd=/session/open exp=90000
container long form=P list=clu_has,long
invocation past iss=clu sub=clu cmd=/session/open exp=-1
container past form=P list=clu_has,past
invocation later iss=clu sub=clu cmd=/session/open nbf=600
container later form=P list=clu_has,later
invocation elsewhere iss=clu sub=clu aud=sam cmd=/session/open
container elsewhere form=P list=clu_has,elsewhere
invocation proven iss=clu sub=clu cmd=/session/open prf=clu_has
container proven form=P list=clu_has,proven
invocation bold iss=clu sub=clu cmd=/
container bold form=P list=clu_has,bold
invocation send iss=clu cmd=/room/send args=room:$room prf=clu_has
container send form=P list=clu_has,send
jwt old iss=clu caps=$caps
jwt old_proofs iss=clu caps=$caps prf=clu_has

key root seed=$seed
jwt old_root iss=root aud=clu caps=$one exp=7200
jwt old_tron iss=root aud=tron caps=$caps exp=7200
jwt old_good iss=clu caps=$one prf=old_root
jwt old_room iss=clu caps=$caps prf=old_root
jwt old_send iss=clu caps={"$rooms$room":{"room/send":[{}]}} prf=old_root
jwt old_stolen iss=clu caps=$caps prf=old_tron
jwt old_long iss=clu caps=$one prf=old_root exp=7300
jwt old_false iss=false_mesh aud=clu caps=$caps exp=7200
jwt old_forged iss=clu caps=$caps prf=old_false
header old_roots list=old_root,old_tron,old_false

@{[ map { "cid ${_}_cid list=$_\n" } qw(wide_command wide_all power own_subject
      from_mesh from_owner cut_wide as_owner for_owner bad_open endless long
      past later elsewhere proven bold send) ]}
END

my @routes = Mesh::Test::Routes->all(
    room => $other, participant => $owner->id, role => 'member');


# Statuses of all routes but that which ends the session.

sub walk {
    my ($bearer) = @_;

    return map {
        "$_->[0] $_->[1]: " . $node->request(@$_, token => $bearer)->status
    } grep { $_->[1] ne '/api/auth/logout' } @routes;
}

sub message_status {
    my ($bearer, $in, @body) = @_;

    my $path = "/api/rooms/$in/messages";

    return @body ? $node->post($path, @body, token => $bearer)->status
                 : $node->get($path, token => $bearer)->status;
}


# What was given works, and is all there is.

is(message_status($token->{good}, $room), 200, 'the bot reads its room');
is(message_status($token->{good}, $other), 403, 'it reads no other room');
is(message_status($token->{good}, $secret), 404, 'a private one is not there');
is(message_status($token->{good}, $room, { content => 'x' }), 403,
   'it does not write in its room');

my @allowed = walk($token->{good});
my %harmless = map { $_ => 1 } (
    'GET /api/setup/status', 'GET /api/auth/me', 'GET /api/roles',
    'GET /api/participants/' . $owner->id, 'GET /api/dms', 'POST /api/poll',
    'GET /api/status', 'GET /api/state', 'GET /api/ucan/revocations',
    'POST /api/ucan/revocations', 'GET /api/ucan/delegations',
    'POST /api/ucan/delegations');

for my $line (@allowed) {
    my ($route, $status) = $line =~ /^(.*): (\d+)$/;

    like($status, qr/^40[1349]$/, "it may not $route")
        unless $harmless{$route};
}

is_deeply($node->get('/api/ucan/delegations', token => $token->{good})->json,
          { delegations => [] }, 'no delegation of others is shown to it');


# Rubbish beside the good chain gives nothing more than the good chain.

for my $name (qw(good_2 to_itself false_link)) {
    is_deeply([ walk($token->{$name}) ], \@allowed,
              "$name: the same endpoints as before, and no more");
}

is(message_status($token->{two}, $other), 403,
   'the chain of another bot gives this one nothing');

is(message_status($token->{other_room}, $_), 403,
   'who got a wider room from the bot got nothing') for $room, $other;


# Sessions that are none: [ name, slug of the log, blamed token ].

my @refused = (
    [ wide_command => 'capability-widened', 'wide_command' ],
    [ wide_all     => 'capability-widened', 'wide_all' ],
    [ power        => 'capability-widened', 'power' ],
    [ own_subject  => 'wrong-subject', 'own_subject' ],
    [ false_root   => 'bad-signature', 'from_mesh' ],
    [ cut_wide     => 'bad-signature', 'cut_wide' ],
    [ as_owner     => 'bad-signature', 'as_owner' ],
    [ for_owner    => 'no-session', 'for_owner' ],
    [ bad_open     => 'bad-signature', 'bad_open' ],
    [ bare         => 'no-session' ],
    [ borrowed     => 'untrusted-root' ],
    [ endless      => 'session-too-long', 'endless' ],
    [ long         => 'session-too-long', 'long' ],
    [ past         => 'token-expired', 'past' ],
    [ later        => 'token-not-yet-valid', 'later' ],
    [ elsewhere    => 'wrong-audience', 'elsewhere' ],
    [ proven       => 'no-session', 'proven' ],
    [ bold         => 'wrong-subject', 'bold' ],
    [ send         => '(?:chain-broken|untrusted-root|capability-widened)' ],
    [ old          => 'untrusted-root' ],
    [ old_proofs   => 'proof-missing' ],
);

for my $case (@refused) {
    my ($name, $slug, $blamed) = @$case;
    my $bearer = $token->{$name};
    my $before = length $node->error_log;

    is_deeply([ grep { !/: (?:40[13]|510)$/ } walk($bearer) ], [],
              "$name: every endpoint refuses it");

    my $header = $node->ws('/ws', token => $bearer);

    is($header->reply->status, $name eq 'old_proofs' ? 510 : 401,
       "$name: the socket refuses a header");

    # a browser sees no status: there the answer is a frame

    my $protocol = $node->ws('/ws', subprotocol => "mesh.v1, bearer.$bearer");
    my $frame = $node->ws('/ws');

    $frame->send_json({ type => 'authenticate', token => $bearer });

    for my $ws ($protocol, $frame) {
        is($ws->recv_json->{error}, 'unauthenticated', "$name: and a frame");
        is($ws->wait_close, 1008, "$name: and closes");
    }

    my %reasons = map { /(ucan: refused.*?), issuer/ ? ($1 => 1) : () }
                  split /\n/, substr $node->error_log, $before;
    my $cid = $blamed ? $token->{"${blamed}_cid"} : '[^"]*';

    is(keys %reasons, 1, "$name: the log says why");
    like((keys %reasons)[0], qr/: $slug \(.*\), token "$cid"$/,
         "$name: and because of which token");
}


# The same by UCAN 0.10, where proofs stand in a header of their own.

my %proofs = (headers => { ucans => $token->{old_roots} });

is($node->get("/api/rooms/$room/messages", token => $token->{old_good},
              %proofs)->status, 200, 'a 0.10 token reads the room');

for my $name (qw(old_room old_send old_stolen old_long old_forged)) {
    my @wrong = grep {
        $node->request(@$_, token => $token->{$name}, %proofs)->status != 401
    } @routes;

    is(scalar @wrong, 0, "$name: every endpoint refuses it");
}


# Tokens are secrets: no piece of one is in a log.

my $logs = $node->error_log . $node->access_log;
my @pieces = map { unpack '(A24)*', $_ } grep { length > 100 } values %$token;

is_deeply([ grep { length == 24 && index($logs, $_) >= 0 } @pieces ], [],
          'no log holds a piece of a token');
ok($logs =~ /"status":401,.*"error":"capability-widened"}/,
   'the access log has the reason too');


# A session that was ended does not come back; another one is not touched.

is($node->post('/api/auth/logout', {}, token => $token->{good})->status, 204,
   'the bot logs out');
is_deeply([ grep { !/: 401$/ } walk($token->{good}) ], [],
          'the session that it ended is refused everywhere');
is(message_status($token->{good_2}, $room), 200, 'its other session works');

done_testing;
