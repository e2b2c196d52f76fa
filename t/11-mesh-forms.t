#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The mesh command makes, reads and judges every form of UCAN: all versions,
# all types of keys, requests, revocations.  Needs no nginx.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use JSON::PP ();
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test::Command;

use constant { OK => 0, REFUSED => 1, USAGE => 2 };

my $at = Mesh::Test::Command->new;
my $mesh = $at->mesh('init', 'data');

my %did = map { $_ => $at->mesh('key', 'new', "$_.key") } qw(ada bot eve);

my @ask = ('--audience', 'data/mesh.did');
my @read = ('--command', '/room/read', '--arg', 'room=r_1');

# in the order of their age

my @versions = ('0.8', '0.9', '0.10', '1.0');


# The mesh to Ada, Ada to her bot, the bot's session; gives back the words
# that "mesh verify" takes.

sub session {
    my ($key, @format) = @_;

    my $holder = $at->mesh('key', 'show', $key);

    $at->save('first', $at->mesh('delegate', @format, '--key',
                                 'data/mesh.key', '--to', $did{ada},
                                 '--command', '/room'));
    $at->save('second', $at->mesh('delegate', @format, '--key', 'ada.key',
                                  '--from', 'first', '--to', $holder,
                                  @read));

    my $token = $at->mesh('token', @format, '--key', $key, @ask, '--proof',
                          'second');

    return split /\n/, $token;
}


subtest 'versions' => sub {
    for my $version (@versions) {
        my ($token, @proofs) = session('bot.key', '--format', $version);
        my @words = ($token, map({ ('--proofs', $_) } @proofs), @ask);

        is($at->verdict(@words, @read), 'accepted: ok',
           "$version: a session allows what was delegated");
        isnt($at->verdict(@words, '--command', '/room/read', '--arg',
                          'room=r_2'), 'accepted: ok', '... and no other');

        my $tokens = $at->json('inspect', '--verify', $token,
                               @proofs)->{tokens};

        is_deeply([ sort keys %{ { map { $_->{version} => 1 } @$tokens } } ],
                  [$version], '... each of its tokens is of that version');
        is(scalar @$tokens, 3, '... and all three are told');
        is(scalar(grep { $_->{signature} eq 'good' } @$tokens), 3,
           '... and signed');
    }

    my ($final) = session('bot.key', '--tag', '1.0.0');

    is($at->verdict($final, @ask, @read), 'accepted: ok',
       'tokens of the tag 1.0.0 do as well');

    $at->mesh('delegate', '--format', '0.10', '--tag', '1.0.0', '--key',
              'ada.key', '--to', $did{bot}, '--command', '/room');
    is($at->rc, USAGE, 'which 0.x has not');
};


subtest 'versions, mixed' => sub {
    $at->save('old', $at->mesh('delegate', '--format', '0.8', '--key',
                               'data/mesh.key', '--to', $did{bot},
                               '--command', '/room'));
    $at->save('new', $at->mesh('delegate', '--format', '0.10', '--key',
                               'data/mesh.key', '--to', $did{bot},
                               '--command', '/room'));

    my ($token, $proofs) = split /\n/,
        $at->mesh('token', '--format', '0.10', '--key', 'bot.key', @ask,
                  '--proof', 'old', @read);

    is($at->verdict($token, '--proofs', $proofs, @ask, @read),
       'accepted: ok', 'an old proof stands behind a new token');

    $at->mesh('token', '--format', '0.8', '--key', 'bot.key', @ask,
              '--proof', 'new');
    is($at->rc, REFUSED, 'a new one does not stand behind an old token');
    like($at->err, qr/--format 0\.10/, 'and the cure is named');

    $at->mesh('delegate', '--format', '0.8', '--key', 'ada.key', '--to',
              $did{bot}, '--command', '/room', '--expires', 'never');
    is($at->rc, USAGE, '0.8 has no token without an end');
};


subtest 'keys' => sub {
    my %types = (ed25519 => 'Ed25519', p256 => 'P-256',
                 secp256k1 => 'secp256k1', p384 => 'P-384',
                 p521 => 'P-521', rsa => 'RSA 2048');

    for my $type (sort keys %types) {
        my $did = $at->mesh('key', 'new', "$type.key", '--type', $type);

        is($at->json('inspect', $did)->{tokens}[0]{key}, $types{$type},
           "$type: the DID tells the type");

        for my $version ('0.10', '1.0') {
            my ($token, @proofs)
                = session("$type.key", '--format', $version);

            is($at->verdict($token, map({ ('--proofs', $_) } @proofs), @ask,
                            @read), 'accepted: ok',
               "... its sessions of $version are good");
        }

        $at->mesh('revoke', $at->json('inspect', 'second')->{tokens}[0]{cid},
                  '--key', "$type.key", '--format', '0.10');
        is($at->json('inspect', '--verify', $at->out)->{tokens}[0]{signature},
           'good', '... and its revocations');
    }
};


subtest 'one request' => sub {
    $at->save('proof', $at->mesh('delegate', '--key', 'data/mesh.key', '--to',
                                 $did{bot}, '--command', '/room'));

    my @invoke = ('invoke', '--key', 'bot.key', @ask, '--proof', 'proof',
                  @read);
    my $url = 'http://LOCALHOST:80/api/rooms?since=1';
    my $bound = $at->mesh(@invoke, '--http', "GET $url");

    is($at->verdict($bound, @ask, '--http', "GET $url"), 'accepted: ok',
       'an invocation for a request is good for it');
    is($at->verdict($bound, @ask, '--http',
                    'GET http://localhost/api/rooms?since=1'),
       'accepted: ok', '... however its host is written');

    for my $other ("POST $url", 'GET http://localhost/api/rooms?since=2',
                   'GET http://localhost/api/rooms',
                   'GET http://localhost:8080/api/rooms?since=1',
                   'GET http://localhost/api/room?since=1')
    {
        is($at->verdict($bound, @ask, '--http', $other),
           'refused: wrong-request', "... and not for $other");
    }

    is($at->verdict($bound, @ask), 'refused: wrong-request',
       '... nor for none');

    my $hash = $at->mesh(@invoke, '--http', "GET $url", '--hash', '--agent',
                         'curl/8');

    is($at->verdict($hash, @ask, '--http', "GET $url", '--agent', 'curl/8'),
       'accepted: ok', 'a hash does as well');
    is($at->verdict($hash, @ask, '--http', "GET $url", '--agent', 'wget'),
       'refused: wrong-request', '... and binds the headers');

    my $made = $at->json(@invoke);

    is($at->verdict($made->{token}, @ask, '--at', '50s'), 'accepted: ok',
       'an invocation is good for a while');
    is($at->verdict($made->{token}, @ask, '--at', '70s'),
       'refused: token-expired', '... of a minute');

    for my $http ('GET', 'get http://a/', 'GET a/b', 'GET ftp://a/',
                  'GET http:///x', 'GET http://u@a/', 'GET http://a/#x')
    {
        $at->mesh(@invoke, '--http', $http);
        is($at->rc, USAGE, "\"$http\" is no request");
    }

    $at->mesh(@invoke, '--format', '0.10');
    is($at->rc, USAGE, '0.x has no invocations');
    like($at->err, qr/mesh token/, '... and it is said what does');

    # a policy on the request

    $at->save('proof', $at->mesh('delegate', '--key', 'data/mesh.key', '--to',
                                 $did{bot}, '--command', '/room', '--policy',
                                 '[["==",".http.method","GET"]]'));
    is($at->verdict($at->mesh(@invoke, '--http', "GET $url"), @ask, '--http',
                    "GET $url"), 'accepted: ok',
       'a policy may be about the request');
    $at->mesh(@invoke, '--http', "POST $url");
    is($at->rc, REFUSED, '... and what it refuses is not signed');
};


subtest 'resources' => sub {
    my $with = 'https://example.org/notes/';
    my @note = ('--resource', $with . '7', '--ability', 'note/read');

    for my $version ('0.8', '0.9', '0.10') {
        my @format = ('--format', $version, '--key');

        $at->save('given', $at->mesh('delegate', @format, 'data/mesh.key',
                                     '--to', $did{bot}, @note, '--caveat',
                                     '{"day":"monday"}'));

        my ($token, @proofs) = split /\n/,
            $at->mesh('token', @format, 'bot.key', @ask, '--proof', 'given');
        my @words = ($token, map({ ('--proofs', $_) } @proofs), @ask, @note);

        is($at->verdict(@words, '--facts', '{"day":"monday","host":"a"}'),
           'accepted: ok', "$version: a thing that is no mesh's");
        is($at->verdict(@words, '--facts', '{"day":"friday"}'),
           'refused: policy-refused', '... when its caveat agrees');
        is($at->verdict(@words), 'refused: policy-refused',
           '... with what is stated');

        $at->save('above', $at->mesh('delegate', @format, 'data/mesh.key',
                                     '--to', $did{bot}, '--resource', $with,
                                     '--ability', 'note/read'));
        ($token, @proofs) = split /\n/,
            $at->mesh('delegate', @format, 'bot.key', '--to', $mesh,
                      '--from', 'above', @note, '--expires', '1h');
        @words = ($token, map({ ('--proofs', $_) } @proofs), @ask, @note);

        is(join(', ', $at->verdict(@words), $at->verdict(@words, '--prefix')),
           'refused: capability-widened, accepted: ok',
           '... a link to what lies below needs --prefix');
    }

    $at->mesh('delegate', '--format', '0.9', '--key', 'ada.key', '--to',
              $did{bot}, @note, '--caveat', '{"can":"all"}');
    is($at->rc, REFUSED, 'a caveat cannot hide an ability');

    $at->mesh('delegate', '--key', 'ada.key', '--to', $did{bot}, @note);
    is($at->rc, USAGE, '1.0 has no resources');
};


subtest 'revocations' => sub {
    for my $version (@versions) {
        my ($token, @proofs) = session('bot.key', '--format', $version);
        my @words = ($token, map({ ('--proofs', $_) } @proofs), @ask);
        my ($second) = grep { $_->{audience} eq $did{bot} }
                       @{ $at->json('inspect', 'second')->{tokens} };
        my @cid = ('revoke', $second->{cid}, '--proof', 'second', '--key');

        for my $key ('ada.key', 'data/mesh.key') {
            $at->save('revoked', $at->mesh(@cid, $key));
            is($at->verdict(@words, '--revocations', 'revoked'),
               'refused: token-revoked', "$version: $key may take it back");
            is($at->json('inspect', '--verify', 'revoked')
                  ->{tokens}[0]{signature}, 'good', '... with its signature');
        }

        my $body = JSON::PP::decode_json($at->mesh(@cid, 'ada.key', '--body'));

        is(join(' ', keys %$body), $version eq '1.0' ? 'token' : 'revocation',
           '... also as a body for the API of a mesh');

        $at->mesh(@cid, 'eve.key');
        is($at->rc, REFUSED, '... a stranger makes no revocation');

        $at->save('revoked', $at->mesh('revoke', $second->{cid}, '--key',
                                       'eve.key'));
        is($at->verdict(@words, '--revocations', 'revoked'), 'accepted: ok',
           '... and when it does, it is ignored');

        $at->save('revoked', "# by the operator\n\n$second->{cid} "
                             . "2030-01-01T00:00:00Z # Ada's bot\n");
        is($at->verdict(@words, '--revocations', 'revoked'),
           'refused: token-revoked', '... the operator needs but the CID');
    }

    $at->mesh('verify', 'first', @ask, '--revocations',
              $at->save('bad', "no CID\n"));
    is($at->rc, REFUSED, 'a line that is none is not passed over');
    like($at->err, qr/line 1/, '... and named');
};


subtest 'inspect' => sub {
    my ($jwt) = session('bot.key', '--format', '0.8');
    my ($container) = session('bot.key');

    my $many = "$jwt\n# a remark\n$container\n$mesh\n";
    my $tokens = $at->json({ stdin => $many }, 'inspect', '-')->{tokens};

    is(scalar @$tokens, 3 + 3 + 1, 'many forms at once');
    is($tokens->[1]{insideOf}, 1, '... and what is inside of what');
    is(scalar(grep { ($_->{signature} // '') eq 'not checked' } @$tokens), 6,
       '... with signatures unchecked');

    my $forged = $jwt =~ s/.(..)\z/($1 eq 'x' ? 'y' : 'x') . $1/er;

    $at->mesh('inspect', '--verify', $forged);
    is($at->rc, REFUSED, 'a bad signature is an exit code');
    like($at->out, qr/^ +signature +bad$/m, '... and said');

    my $bad = $at->json('inspect', "eyJhbGciOiJub25lIn0.e30.AA, $jwt");

    is($at->rc, REFUSED, 'what is no token is one, too');
    ok($bad->{tokens}[0]{refused}, '... and said');
    is(scalar @{ $bad->{tokens} }, 4, '... and hides no other');
};


done_testing;
