#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# mesh verify --explain names the token, the rule and the values behind every
# refusal, and what would cure it; its README is true.  Needs no nginx.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test::Command;
use Mesh::Test::Mint;

my $at = Mesh::Test::Command->new;
my $mesh = $at->mesh('init', 'data');

my %did = map { $_ => $at->mesh('key', 'new', "$_.key") } qw(ada bot eve);

my @ask = ('--audience', 'data/mesh.did', '--explain');


# A delegation that stands alone, in a file of its name.

sub give {
    my ($name, $from, $to, @what) = @_;

    my $key = $from eq 'mesh' ? 'data/mesh.key' : "$from.key";

    return $at->save($name, $at->mesh('delegate', '--key', $key, '--to',
                                      $did{$to}, '--subject', $mesh, @what));
}


# Short names as the explanation has them.

sub short { return substr($_[0], 0, 16) . '...' . substr($_[0], -4) }


# Asks, and compares verdict, number of the link, and reason.

sub explains {
    my ($words, $slug, $link, $reason, $promise) = @_;

    my $answer = $at->json('verify', @$words);

    is($answer->{verdict}, $slug, "$promise: the verdict");
    is($answer->{link}, $link, '... which link');
    like($answer->{reason} // '', $reason, '... why');
    ok($answer->{cure}, '... and a cure');

    return $answer;
}


give('room', 'mesh', 'ada', '--command', '/room');
give('read', 'ada', 'bot', '--command', '/room/read', '--arg', 'room=r_1');
give('mail', 'mesh', 'ada', '--command', '/dm/send');

my @session = ($at->mesh('token', '--key', 'bot.key', '--audience',
                         'data/mesh.did', '--proof', 'read'));
my @bare = ($at->mesh('token', '--key', 'bot.key', '--audience',
                      'data/mesh.did'));
my @whole = (@session, 'room', 'read', 'mail', @ask);
my @r1 = ('--command', '/room/read', '--arg', 'room=r_1');


subtest 'a chain that holds' => sub {
    my $answer = $at->json('verify', @whole, @r1);
    my @chain = @{ $answer->{chain} };

    is($answer->{verdict}, 'ok', 'it is accepted');
    is(scalar @chain, 3, 'and shown from the root on');
    is_deeply([ map { $_->{issuer} } @chain ], [ $mesh, @did{qw(ada bot)} ],
              'issuer by issuer');
    is_deeply([ map { $_->{audience} } @chain ], [ @did{qw(ada bot)}, $mesh ],
              'audience by audience');
    is_deeply([ map { $_->{command} } @chain ],
              [ '/room', '/room/read', '/session/open' ], 'what it gives');
    is_deeply($chain[1]{policy}, [ [ '==', '.room', 'r_1' ] ], 'its policy');
    is(scalar(grep { $_->{signature} eq 'good' && $_->{state} eq 'valid' }
              @chain), 3, 'that each is signed and in time');
    is(scalar @{ $answer->{unused} }, 1, 'what did not help');
    like($answer->{unused}[0]{reason}, qr{gives /dm/send, which does not},
         '... and why');
    ok(!exists $answer->{reason}, 'there is nothing to explain');

    my $text = $at->mesh('verify', @whole, @r1);

    like($text, qr/^ +from +\Q${\ short($did{ada}) }\E \(Ed25519\)$/m,
         'people get it shorter');
    like($text, qr/^ +policy +\.room == "r_1"$/m, '... the policy readable');
    like($text, qr/^ +ends +\d{4}-.*Z, in 30 days$/m, '... and the time');
};


subtest 'what is asked' => sub {
    explains([ @whole, '--command', '/room/read', '--arg', 'room=r_2' ],
             'policy-refused', 2,
             qr/policy of #2 wants \.room == "r_1", but \.room is "r_2"$/,
             'another room');
    explains([ @whole, '--command', '/room/read' ], 'policy-refused', 2,
             qr/\.room is absent$/, 'no room');
    explains([ @whole, '--command', '/room/send', '--arg', 'room=r_1' ],
             'not-covered', 2,
             qr{#2 gives /room/read, which does not cover /room/send$},
             'another command');
    explains([ @session, 'room', 'read', '--audience', $did{eve},
               '--explain' ], 'wrong-audience', 3,
             qr/#3 is for \Q${\ short($mesh) }\E .* but \Q${\ short($did{eve})
               }\E .* is asked/, 'another mesh');
};


subtest 'time' => sub {
    explains([ @whole, '--at', '2h' ], 'token-expired', 3,
             qr/#3 expired 60 minutes ago, at 20/, 'too late');
    explains([ @whole, '--at', '8w', '--session-max', 'never' ],
             'token-expired', 3, qr/#3 expired 56 days ago/, 'far too late');

    give('later', 'mesh', 'bot', '--command', '/room', '--not-before', '3h');
    explains([ @session, 'later', @ask ], 'token-not-yet-valid', 1,
             qr/#1 begins only in 3 hours, at 20/,
             'too early');
    explains([ @whole, '--session-max', '5m' ], 'session-too-long', 3,
             qr/#3 ends in \d+ minutes, .* may last 5 minutes/,
             'a session that lasts too long');
};


subtest 'the chain' => sub {
    give('narrow', 'mesh', 'ada', '--command', '/room/read');
    give('wide', 'ada', 'bot', '--command', '/room');

    explains([ @bare, 'narrow', 'wide', @ask ], 'capability-widened', 2,
             qr{#2 claims /room, its proof #1 gives /room/read$},
             'a link that claims too much');
    explains([ @session, 'read', @ask ], 'untrusted-root', 1,
             qr/begins with #1, issued by \Q${\ short($did{ada}) }\E/,
             'no link to the root');
    explains([ @bare, 'room', @ask ], 'untrusted-root', 1,
             qr/given is for the holder, \Q${\ short($did{bot}) }\E /,
             'delegations of another');
    explains([ 'room', 'read', @ask ], 'no-session', 2,
             qr/there are only delegations/, 'no login');
    explains([ @whole, '--trust', $did{eve} ], 'wrong-subject', 2,
             qr/#2 is about \Q${\ short($mesh) }\E .* only \Q${\ short(
               $did{eve}) }\E .* is served/, 'another root');

    my ($cid) = map { $_->{cid} } @{ $at->json('inspect', 'room')->{tokens} };

    $at->save('revoked', "$cid\n");
    explains([ @whole, '--revocations', 'revoked' ], 'token-revoked', 1,
             qr/#1, \Q$cid\E, was revoked by the operator$/, 'revoked');
    $at->save('revoked', $at->mesh('revoke', $cid, '--key',
                                   'data/mesh.key'));
    explains([ @whole, '--revocations', 'revoked' ], 'token-revoked', 1,
             qr/was revoked by its issuer, \Q${\ short($mesh) }\E/,
             'revoked by its issuer');
};


subtest 'invocations' => sub {
    my @invoke = ('invoke', '--key', 'bot.key', '--audience',
                  'data/mesh.did', '--proof', 'room', '--proof', 'read', @r1);
    my $plain = $at->mesh(@invoke);

    explains([ $plain, @ask, '--command', '/room/read', '--arg',
               'room=r_2' ], 'policy-refused', 3,
             qr/#3 is signed for room=r_1, and room=r_2 is asked$/,
             'other arguments');
    explains([ $plain, @ask, '--command', '/room/send' ], 'not-covered', 3,
             qr{#3 is an invocation of /room/read .* /room/send is asked$},
             'another command');

    my $bound = $at->mesh(@invoke, '--http', 'GET http://a/b?c=1');

    explains([ $bound, @ask, '--http', 'GET http://a/b?c=2' ],
             'wrong-request', 3, qr/with the query "c=1", .* has c=2$/,
             'another request');
    explains([ $bound, @ask ], 'wrong-request', 3,
             qr/signed for one request alone/, 'no request');
};


subtest 'tokens that the command would not make' => sub {
    my $made = Mesh::Test::Mint->mint(<<'END');
did mesh key=mesh
delegation room iss=mesh aud=ada cmd=/room
delegation stray iss=eve aud=bot cmd=/room
delegation forged0 iss=mesh aud=bot cmd=/room
forgery forged list=forged0
invocation broken iss=bot sub=mesh cmd=/room prf=room,stray
container broken.all list=room,stray,broken
invocation lacking iss=bot sub=mesh cmd=/room prf=room,stray
container lacking.all list=room,lacking
invocation open iss=bot sub=bot cmd=/session/open
container forged.all list=forged,open
jwt proof iss=mesh aud=bot caps={"a:b":{"*":[{}]}} exp=100
jwt long iss=bot aud=mesh caps={"a:b":{"*":[{}]}} prf=proof exp=200
jwt named iss=bot aud=mesh caps={"a:b":{"*":[{}]}} prf=proof exp=50
jwt empty iss=mesh aud=mesh caps={} exp=50
END
    my @mint = ('--audience', $made->{mesh}, '--explain');

    explains([ $made->{'broken.all'}, @mint ], 'chain-broken', 1,
             qr/audience of #1 is did:key:\S+ \(Ed25519\), but #2 is issued/,
             'links that do not meet');
    explains([ $made->{'lacking.all'}, @mint ], 'proof-missing', 2,
             qr/proof bafy\w+ is named by #3 but not given$/,
             'a proof that lacks');
    explains([ $made->{'forged.all'}, @mint ], 'bad-signature', 1,
             qr/signature of #1 is none of did:key:/, 'a forgery');
    explains([ $made->{long}, '--proofs', $made->{proof}, @mint ],
             'proof-outlived', 1,
             qr/#2 ends at 20\S+Z, its proof #1 at 20\S+Z/,
             'a token that outlives its proof');
    explains([ $made->{named}, @mint ], 'proof-missing', 1,
             qr/proof bafkrei\w+ is named by #2 but not given$/,
             'a proof of 0.10 that lacks');

    explains([ $made->{empty}, @mint ], 'not-covered', 1,
             qr/#1 claims nothing/, 'a token that claims nothing');

    my $junk = $at->json('verify', $made->{named}, '--proofs',
                         "eyJhbGciOiJub25lIn0.e30.AA, $made->{proof}",
                         @mint);

    is($junk->{verdict}, 'ok', 'junk beside the proofs does no harm');
    like($junk->{unused}[0]{reason}, qr/malformed|supported/,
         '... and is told');
};


subtest 'the README' => sub {
    my $page = Mesh::Test::slurp(Mesh::Test->top
                                 . '/modules/mesh/README.md');
    my @shell = $page =~ /^```sh\n(.*?)^```/msg;
    my ($text) = $page =~ /^```text\n(.*?)^```/ms;

    mkdir 'readme';

    my $start = 'cd readme; PATH=' . Mesh::Test->output_folder . ":\$PATH\n";
    my @out;

    # one shell after the other, so that each has its output; a file hands
    # the variables on

    for my $shell (@shell) {
        my ($rc, $out, $err) = Mesh::Test::run(
            [ 'bash', '-c', "$start [ ! -e state ] || . ./state\nset -e\n"
              . "$shell declare -p TOKEN CID > state 2> /dev/null || :"
            ], env => Mesh::Test->sanitizer_options);

        my $refused = $shell =~ /--explain/ ? 1 : 0;

        is($rc, $refused, 'works: ' . (split /\n/, $shell)[0]) or diag($err);
        push @out, $out;
    }

    my ($explained) = grep { /^chain/ } @out;

    for ($explained, $text) {
        s/did:key:z6Mk\w{4}\.\.\.\w{4}/DID/g;
        s/bafyrei[a-z2-7]+/CID/g;
        s/20\d\d-\d\d-\d\dT[\d:]+Z/TIME/g;
    }

    is($explained, $text, 'and explains as it is written there');

    my @slugs = $page =~ /^\| ((?:`[a-z-]+`(?:, )?)+) \| /mg;

    cmp_ok(scalar @slugs, '>=', 16, 'the verdicts are listed');
};


done_testing;
