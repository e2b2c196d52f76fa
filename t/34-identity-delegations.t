#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# /api/ucan/delegations: handed in once by issuer or audience, named by CID
# afterwards, not there for others; and the 510 where there is no store.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;
use Mesh::Test::Mint;

my $node = Mesh::Test::Identity->new(
    workers => 2, directives => { ucan_proofs => 'on' })->start;
my $owner = $node->owner;
my $ada = $node->register('ada');
my ($seed) = $node->read_file('data/mesh.key') =~ /(\S+)/;

sub mint {
    return Mesh::Test::Mint->mint("key mesh seed=$seed\n" . join '', @_);
}

sub may {
    my ($text, %opt) = @_;

    my %seen;
    $seen{ $node->get('/may/room/read?room=r_1', token => $text, %opt)
           ->status }++ for 1 .. 6;

    return join ',', sort keys %seen;
}


# Two who keep their own keys.

my %who;

for my $name (qw(chef carl)) {
    my $proof = mint("invocation open iss=$name sub=$name cmd=/session/open\n"
                     . "container proof list=open\ndid did key=$name\n");
    my $reply = $node->post('/api/auth/register',
                            { name => $name, did => $proof->{did},
                              proof => $proof->{proof} })->json;

    $who{$name} = { %$reply, did => $proof->{did}, token => mint(
        "import role text=$reply->{delegations}\n"
        . "invocation open iss=$name sub=$name cmd=/session/open nonce=2\n"
        . "container it list=role,open\n")->{it} };
}

my $mesh = $node->did;
my $caps = '{"mesh://' . $mesh . '/room/":{"room/read":[{}]}}';
my $t = mint(<<"END");
delegation root aud=chef cmd=/room/read
delegation link iss=chef aud=carl cmd=/room/read exp=3600
delegation other aud=dave cmd=/room/read
delegation old iss=chef aud=carl cmd=/room/read exp=-10 nonce=o
invocation run iss=carl cmd=/room/read prf=root,link args=room:r_1 nonce=1
invocation run2 iss=carl cmd=/room/read prf=root,link args=room:r_1 nonce=2
invocation run3 iss=carl cmd=/room/read prf=root,link args=room:r_1 nonce=3
container bare list=run
container bare2 list=run2
container bare3 list=run3
container both list=root,link
container c_root list=root
container c_link list=link
container c_other list=other
container c_old list=old
container run_is_none list=run
forgery bad list=link
container forged list=bad
cid root list=root
cid link list=link
jwt jroot aud=chef caps=$caps exp=7200
jwt jlink iss=chef aud=carl caps=$caps prf=jroot exp=7000
jwt jrun iss=carl caps=$caps prf=jlink exp=3600
END

sub hand_in {
    my ($name, @texts) = @_;

    return $node->post('/api/ucan/delegations',
                       { delegations => @texts == 1 ? $texts[0] : \@texts },
                       token => $who{$name}{token});
}

is($node->post('/api/ucan/delegations', { delegations => $t->{both} })
   ->status, 401, 'nobody hands in without a login');

my $missing = $node->get('/may/room/read?room=r_1', token => $t->{bare});

is($missing->status, 510, 'an invocation alone lacks its proofs');
is_deeply([ sort @{ $missing->json->{prf} } ],
          [ sort $t->{root}, $t->{link} ], '... which the answer names');

my $reply = hand_in(chef => $t->{both});

is($reply->status, 201, 'who is in both of them hands them in');
is_deeply([ sort map { $_->{cid} } @{ $reply->json->{delegations} } ],
          [ sort $t->{root}, $t->{link} ], '... and gets their CIDs');
like($reply->header('ucan-cache-expiry'), qr/\A\d{10}\z/,
     '... and until when they are kept');
is(scalar(grep { $_->{expiresAt} } @{ $reply->json->{delegations} }), 1,
   '... each of those that end');
is(hand_in(chef => $t->{both})->status, 200, 'twice is once');

is($node->get('/may/room/read?room=r_1', token => $t->{bare2})->status, 200,
   'the invocation alone is accepted');

is(may($t->{jrun}), '510', 'a JWT without "ucans" lacks its proofs');

$node->begin(GET => '/may/room/read?room=r_1', token => $t->{jrun})->abort
    for 1 .. 100;

is(may($t->{jrun}), '510',
   '... whoever leaves while the store is asked for them');
is(hand_in(chef => $t->{jroot}, $t->{jlink})->status, 201,
   'JWTs are handed in as well');
is(may($t->{jrun}), '200', '... and the JWT alone is accepted, everywhere');


# Who may not, and what is none.

is(hand_in(carl => $t->{c_root})->status, 403, 'one of somebody else');
is(hand_in(carl => $t->{forged})->status, 403, 'a forged one');
is(hand_in(carl => $t->{c_old})->status, 400, 'an old one');
is(hand_in(carl => $t->{run_is_none})->status, 400, 'an invocation');
is(hand_in(carl => 'Cjunk')->status, 400, 'junk');
is($node->post('/api/ucan/delegations', {}, token => $who{carl}{token})
   ->status, 400, 'nothing');
is($node->post('/api/ucan/delegations', { delegations => [ (0) x 31 ] },
               token => $who{carl}{token})->status, 400, 'too many');


# Seen by two.

sub seen {
    my ($name, $cid) = @_;

    return $node->get("/api/ucan/delegations/$cid",
                      token => $who{$name}{token});
}

is(seen(chef => $t->{link})->json->{audience}, $who{carl}{did},
   'the issuer sees it');
is(seen(carl => $t->{link})->json->{issuer}, $who{chef}{did},
   'the audience does');
is(seen(carl => $t->{root})->status, 404, 'others do not');
is($ada->get("/api/ucan/delegations/$t->{link}")->status, 404,
   '... whoever they are');
is(hand_in(chef => seen(chef => $t->{link})->json->{delegation})->status, 200,
   'what is shown can be handed in');

my $list = $node->get('/api/ucan/delegations', token => $who{chef}{token});

is(scalar @{ $list->json->{delegations} }, 4, 'a list of all that one holds');
is_deeply($node->get('/api/ucan/delegations', token => $who{carl}{token})
          ->json->{delegations}, [], '... and nobody else');

my $page = $node->get('/api/ucan/delegations?limit=3',
                      token => $who{chef}{token})->json;
my $next = $node->get("/api/ucan/delegations?cursor=$page->{next}",
                      token => $who{chef}{token})->json;

is_deeply([ @{ $page->{delegations} }, @{ $next->{delegations} } ],
          $list->json->{delegations}, '... in pages');
is($node->get("/api/ucan/delegations?cursor=$page->{next}",
              token => $who{carl}{token})->status, 400,
   '... whose cursors are good for one holder');


# Taken out.

sub drop {
    my ($name, $cid) = @_;

    return $node->del("/api/ucan/delegations/$cid",
                      token => $who{$name}{token})->status;
}

is(drop(carl => $t->{link}), 404, 'who did not hand it in takes nothing out');
is(hand_in(carl => $t->{c_link})->status, 201, 'both may hold the same one');
is(drop(chef => $t->{link}), 204, 'one takes it out');
is($node->get('/may/room/read?room=r_1', token => $t->{bare3})->status, 200,
   '... and it is there for the other');
is(drop(carl => $t->{link}), 204, 'so does the other');
is(seen(carl => $t->{link})->status, 404, '... and it is gone');
is(drop(carl => $t->{link}), 404, '... for good');


# A revoked one proves nothing, wherever it is kept.

is(hand_in(carl => $t->{c_link})->status, 201, 'handed in again');
is($node->post('/api/ucan/revocations', { cid => $t->{link} },
               token => $who{carl}{token})->status, 201,
   'what is kept here is revoked by its CID alone');

is($node->post('/api/ucan/revocations', { cid => $t->{root} },
               token => $who{chef}{token})->status, 201,
   '... by its audience, too');
is(may($t->{bare3}), '401', 'and what stands on it is over');


# So many of one participant.

my $status = 201;

for my $batch (1 .. 10) {
    my $many = mint(map({ "delegation d$_ iss=carl nonce=$batch.$_\n" }
                        1 .. 30), "container all list="
                    . join(',', map { "d$_" } 1 .. 30) . "\n");

    $status = hand_in(carl => $many->{all})->status;
    last if $status != 201;
}

is($status, 409, 'one participant does not fill the store');


# Without a store.

my ($rc, $text) = Mesh::Test->nginx_t(
    modules => ['ucan'],
    conf    => 'ucan_proofs  on;');

isnt($rc, 0, 'ucan_proofs wants a store');
like($text, qr/"ucan_proofs" needs .* add "load_module modules\/ngx_http_me/,
     '... and says which line is missing');

done_testing;
