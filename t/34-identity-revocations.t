#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# POST and GET /api/ucan/revocations: signed ones and those by CID, who may,
# that they count at once and for good, and what other nodes get of them.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;
use Mesh::Test::Mint;

my $node = Mesh::Test::Identity->new(workers => 2)->start;
my $owner = $node->owner;
my $ada = $node->register('ada');
my ($seed) = $node->read_file('data/mesh.key') =~ /(\S+)/;

sub mint {
    return Mesh::Test::Mint->mint("key mesh seed=$seed\n" . join '', @_);
}

sub revoke {
    my ($body, %opt) = @_;

    return $node->post('/api/ucan/revocations', $body, %opt);
}

sub record { return { revocation => Mesh::Test->json_decode($_[0]) } }

# What all workers say to a session.

sub said {
    my ($token) = @_;

    my %seen;
    $seen{ $node->may($token, '/room/read', 'r_1') }++ for 1 .. 8;

    return join ',', sort keys %seen;
}

is_deeply($node->get('/api/ucan/revocations')->json, { revocations => [] },
          'at first there are none');


# The chef keeps her own key; carl has what she gives him, and is nobody here.

my $proof = mint(<<'END');
invocation open iss=chef sub=chef cmd=/session/open
container proof list=open
did chef key=chef
END

my $chef = $node->post('/api/auth/register',
                       { name => 'chef', did => $proof->{chef},
                         proof => $proof->{proof} })->json;

my $minted = mint("import role text=$chef->{delegations}\n", <<'END');
delegation one iss=chef aud=carl cmd=/room/read nonce=1
delegation two iss=chef aud=carl cmd=/room/read nonce=2
delegation three iss=chef aud=carl cmd=/room/read nonce=3
delegation four iss=chef aud=carl cmd=/room/read nonce=4
delegation dave iss=carl aud=dave cmd=/room/read
invocation carls iss=carl sub=carl cmd=/session/open nonce=c
invocation daves iss=dave sub=dave cmd=/session/open nonce=d
invocation chefs iss=chef sub=chef cmd=/session/open nonce=e
container one list=role,one,carls
container two list=role,two,carls
container three list=role,three,carls
container four list=role,four,carls
container dave list=role,three,dave,daves
container chef list=role,chefs
cid cid1 list=one
record by_chef iss=chef list=one
record by_mallory iss=mallory list=one
record of_role iss=chef list=role.0
record by_carl iss=carl list=dave
invocation void iss=chef sub=chef cmd=/ucan/revoke args=revoke:@two exp=none
container two_is_void list=void
invocation gone iss=carl sub=carl cmd=/ucan/revoke args=revoke:@dave exp=none
container dave_is_void list=gone,role,three,dave
container link4 list=four
forgery bad list=void
container forged list=bad
END

is(said($minted->{$_}), '200', "$_: a session")
    for qw(one two three four dave);


# Signed.

my $reply = revoke(record($minted->{by_chef}));

is($reply->status, 201, 'a record needs no login');
is($reply->json->{cid}, $minted->{cid1}, '... is named');
is($reply->json->{by}, $proof->{chef}, '... and who says so');
is(said($minted->{one}), '401', 'it counts in all workers at once');
is(said($minted->{two}), '200', '... for that chain');
is(said($minted->{chef}), '200', '... and not for who gave it');
is(revoke(record($minted->{by_chef}))->status, 200, 'twice is once');

is(revoke({ token => $minted->{two_is_void} })->status, 201,
   'an invocation in a container');
is(said($minted->{two}), '401', '... counts');
is(revoke({ token => $minted->{two_is_void} })->status, 200, '... once');

is(revoke(record($minted->{of_role}))->status, 201,
   'one about a token that somebody else issued is kept');
is(said($minted->{chef}), '200', '... and void');

$reply = revoke(record($minted->{by_mallory}));

is($reply->status, 403, 'a stranger has nothing to revoke');
like($reply->json->{detail}, qr/no participant/, '... and learns why');
is(revoke(record($minted->{by_carl}))->status, 403,
   'nor has who is no participant and shows nothing');
is(said($minted->{dave}), '200', '... so nothing happens');
is(revoke({ token => $minted->{dave_is_void} })->status, 201,
   'with the chain from this mesh he may');
is(said($minted->{dave}), '401', '... and it counts');
is(said($minted->{three}), '200', '... not further up');

is(revoke({ token => $minted->{forged} })->status, 403, 'a forged one');
is(revoke({ token => $minted->{one} })->status, 400,
   'a container with another invocation');
is(revoke({ token => 'C!' })->status, 400, 'junk');
is(revoke({ revocation => { iss => 'x' } })->status, 400, 'half a record');
is(revoke({})->status, 400, 'nothing');
is(revoke({ cid => 'bafy' })->status, 400, 'half a CID');


# By CID.

is(revoke({ cid => $minted->{three} })->status, 400, 'a token is no CID');

my $cid = mint("import role text=$chef->{delegations}\n", <<'END');
delegation three iss=chef aud=carl cmd=/room/read nonce=3
delegation four iss=chef aud=carl cmd=/room/read nonce=4
cid c3 list=three
cid c4 list=four
cid role list=role.0
END

is(revoke({ cid => $cid->{c4} })->status, 401, 'by CID only with a login');
is(revoke({ cid => $cid->{c4} }, token => $ada->token)->status, 404,
   'what is not there for who asks');
is(revoke({ cid => $cid->{c4}, delegation => $minted->{link4} },
          token => $ada->token)->status, 403,
   'nor theirs when they show it');
is(revoke({ cid => $cid->{c3}, delegation => $minted->{link4} },
          token => $minted->{chef})->status, 400,
   'what is shown has another CID');
is(said($minted->{four}), '200', 'so nothing happens');
$reply = revoke({ cid => $cid->{c4}, delegation => $minted->{link4} },
                token => $minted->{chef});
is($reply->status, 201, 'the issuer may');
is($reply->json->{by}, $node->did, '... and the mesh says so');
is($reply->json->{revocation}{iss}, $node->did, '... and signs it');
is(said($minted->{four}), '401', '... at once');

is(revoke({ cid => $cid->{c3} }, token => $owner->token)->status, 201,
   'the owner revokes what nobody here has seen');
is(said($minted->{three}), '401', '... at once');

my $narrow = $node->bot('narrow', maker => $ada, commands => [ '/room/read' ]);

$reply = revoke({ cid => $cid->{c3} }, token => $narrow->token);

is($reply->status, 403, 'a token without /ucan/revoke revokes nothing');
is($reply->json->{command}, '/ucan/revoke', '... and says what is missing');

my $held = $owner->get('/api/auth/me?delegations=1')->json->{delegations};
my $role = mint("import owner text=$held\ncid it list=owner.0\n")->{it};

is(revoke({ cid => $role }, token => $owner->token)->json->{error},
   'role-immutable', 'the role of the owner is not ended');

my $adas = $ada->get('/api/auth/me?delegations=1')->json->{delegations};
my $part = mint("import ada text=$adas\ncid it list=ada.0\n")->{it};

is(revoke({ cid => $part }, token => $ada->token)->status, 201,
   'a participant gives up a part of its role');


# The list.

my @all = @{ $node->get('/api/ucan/revocations')->json->{revocations} };

is(scalar @all, 7, 'all of them are listed, to anybody');
is($all[0]{cid}, $part, '... the newest first');
is(scalar(grep { $_->{revocation} || $_->{token} } @all), 7,
   '... each with what makes others believe it');

for my $item (@all[0, -1]) {
    is(revoke({ revocation => $item->{revocation} })->status =~ /\A20[01]\z/,
       1, 'what is listed can be handed in');
}

my $found = $node->get("/api/ucan/revocations?cid=$cid->{c4}")->json;

is_deeply([ map { $_->{cid} } @{ $found->{revocations} } ], [ $cid->{c4} ],
          'one is found by its CID');
is($node->get('/api/ucan/revocations?cid=x')->status, 400,
   '... if that is one');

my @paged;
my $path = '/api/ucan/revocations?limit=3';

for (1 .. 5) {
    my $page = $node->get($path);

    push @paged, @{ $page->json->{revocations} };
    last if !$page->json->{next};

    my ($link) = ($page->header('Link') // '') =~ /<(.*?)>; rel="next"/;
    is($link, '/api/ucan/revocations?cursor=' . $page->json->{next}
       . '&limit=3', 'a page names the next');
    $path = $link;
}

my @again = @{ $node->get('/api/ucan/revocations?limit=100')
               ->json->{revocations} };

is_deeply(\@paged, \@again, 'pages give all of them');
is($node->get('/api/ucan/revocations?cursor=x')->json->{error},
   'invalid-cursor', 'a cursor cannot be made up');
is($node->get('/api/ucan/revocations?limit=0')->status, 400,
   'nor can any limit');


# What the mesh command makes is taken as it is.

sub command {
    my ($rc, $out, $err) = $node->mesh(@_);

    die "mesh @_: $err" if $rc != 0;
    chomp $out;

    return $out;
}

my $data = $node->data;

my ($erin, $finn) = map {
    command('key', 'new', "$data/$_.key") =~ /(did:key:\w+)/
} qw(erin finn);

$node->write_file('erin.proof', command(
    'delegate', '--key', "$data/mesh.key", '--to', $erin,
    '--command', '/room/read'));
my $given = $node->write_file('finn.proof', command(
    'delegate', '--key', "$data/erin.key", '--to', $finn,
    '--from', $node->prefix . '/erin.proof', '--command', '/room/read'));
my $finns = command('token', '--key', "$data/finn.key",
                    '--audience', "$data/mesh.did", '--proof', $given);

is(said($finns), '200', 'what erin gave finn opens the door');

my ($void) = grep { $_->{issuer} eq $erin }
             @{ Mesh::Test->json_decode(
                    command('inspect', '--json', $given))->{tokens} };

$reply = $node->request(POST => '/api/ucan/revocations',
    headers => { 'Content-Type' => 'application/json' },
    body    => command('revoke', $void->{cid}, '--key', "$data/erin.key",
                       '--proof', $given, '--body'));

is($reply->status, 201, 'what "mesh revoke --body" prints is a revocation');
is(said($finns), '401', '... and shuts it');


# For good.

$node->stop;
$node->start;

is(join(' ', map { said($minted->{$_}) } qw(one two three four dave chef)),
   '401 401 401 401 401 200', 'a restart forgets nothing');


# No more than so many of one issuer.

my $status = 201;

for my $batch (1 .. 3) {
    my $many = mint(map { "delegation d$_ iss=chef nonce=$batch.$_\n"
                          . "record r$_ iss=chef list=d$_\n" } 1 .. 100);

    for (1 .. 100) {
        $status = revoke(record($many->{"r$_"}))->status;
        last if $status != 201;
    }
    last if $status != 201;
}

is($status, 429, 'one issuer does not fill the store');
is(said($minted->{chef}), '200', '... and goes on otherwise');

done_testing;
