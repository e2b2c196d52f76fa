#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A token allows what its policies say and nothing else: what may not be read
# looks as if it were not there, what may not be written is refused.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;


for my $adapter (Mesh::Test::Storage->adapters) {
    subtest $adapter => sub { test_capabilities($adapter) };
}

done_testing;


sub test_capabilities {
    my ($adapter) = @_;

    my $node = Mesh::Test::Storage->new(adapter => $adapter)->start;

    for my $key ('a/1', 'a/2', 'ab', 'b/1') {
        $node->put("kv/n/$key", $key);
    }

    $node->put('kv/n.sub/x', 'below');
    $node->put('kv/no/x', 'beside');

    test_nobody($node);
    test_namespaces($node);
    test_prefixes($node);
    test_lists($node);
    test_commands($node);
    test_invocation($node);

    $node->stop;

    return;
}


sub test_nobody {
    my ($node) = @_;

    for my $method (qw(GET PUT DELETE POST)) {
        my $reply = $node->request($method => 'kv/n/ab', token => undef,
                                   $method eq 'PUT' ? (body => 'x') : ());

        is($reply->status, 401, "$method without a token is refused");
        ok($reply->header('WWW-Authenticate'), '... with a challenge');
    }

    my $reply = $node->put('kv/n/ab', 'x',
                           headers => { Origin => 'http://evil.example' });

    is($reply->status, 403, 'a write from a page of elsewhere is refused');
    is($reply->json->{error}, 'wrong-origin', 'and told why');

    return;
}


sub test_namespaces {
    my ($node) = @_;

    my $token = $node->token(ns => 'n');

    is($node->get('kv/n/ab', token => $token)->status, 200,
       'a namespace can be read');
    is($node->get('kv/n.sub/x', token => $token)->status, 200,
       'and those below it');

    my $hidden = $node->get('kv/no/x', token => $token);
    my $absent = $node->get('kv/n/none', token => $token);

    is($hidden->status, 404, 'another one is not there');
    is($hidden->body, $absent->body, 'as what is really not there');
    is($node->head('kv/no/x', token => $token)->status, 404,
       'whoever asks for headers only sees the same');
    is($node->get('kv/no/x', token => $token,
                  headers => { 'If-None-Match' => '*' })->status, 404,
       'or with a condition');

    my $reply = $node->put('kv/no/x', 'y', token => $token);

    is($reply->status, 403, 'nor can it be written');
    is($reply->json->{command}, '/storage/write',
       'the problem names the command');
    is($node->del('kv/no/x', token => $token)->status, 403, 'nor removed');
    is($node->post('kv/no/c?op=incr', undef, token => $token)->status, 403,
       'nor counted in');
    is($node->get('kv/no/x')->body, 'beside', 'and nothing happened to it');

    my $exact = $node->token(ns => 'n', exact => 1);

    is($node->get('kv/n/ab', token => $exact)->status, 200,
       'a policy for one namespace');
    is($node->get('kv/n.sub/x', token => $exact)->status, 404,
       'does not reach below');

    return;
}


sub test_prefixes {
    my ($node) = @_;

    my $token = $node->token(ns => 'n', key_prefix => 'a/');

    is($node->get('kv/n/a/1', token => $token)->status, 200,
       'what has the prefix can be read');
    is($node->get('kv/n/ab', token => $token)->status, 404,
       'what only looks like it cannot');
    is($node->put('kv/n/a/3', 'x', token => $token)->status, 201,
       'below the prefix can be written');
    is($node->put('kv/n/b/2', 'x', token => $token)->status, 403,
       'beside it not');
    like($node->get('kv/n/a/%2e%2e/b/1', token => $token)->status,
         qr/^40[01]$/, 'nor by a detour');

    my $kind = $node->token(ns => 'n', kind => 'docs');

    is($node->get('kv/n/a/1', token => $kind)->status, 404,
       'a policy for another kind is for another kind');

    my $narrow = $node->token(
        policy => '[["like",".ns","n*"],["not",["like",".key","b/*"]]]');

    is($node->get('kv/n/b/1', token => $narrow)->status, 404,
       'a policy may take something away');
    is($node->get('kv/n/a/1', token => $narrow)->status, 200,
       'and leave the rest');

    return;
}


sub test_lists {
    my ($node) = @_;

    my $token = $node->token(ns => 'n', key_prefix => 'a/');

    is($node->get('kv/n', token => $token)->status, 404,
       'who may read a prefix cannot list all');
    is($node->get('kv/n?prefix=a', token => $token)->status, 404,
       'nor a shorter prefix');

    my ($items) = $node->list('kv/n?prefix=a/', token => $token);

    is_deeply([ map { $_->{key} } @$items ], [qw(a/1 a/2 a/3)],
              'but the prefix');
    is($node->head('kv/n', token => $token)->status, 404,
       'the ETag of a namespace is for those who may list it');

    my $some = $node->token(
        policy => '[["==",".ns","n"],["not",["==",".key","a/2"]]]');

    ($items) = $node->list('kv/n?limit=1', token => $some);

    is_deeply([ map { $_->{key} } @$items ], [qw(a/1 a/3 ab b/1)],
              'a list leaves out what its reader may not see');

    my ($pages) = ($node->list('kv/n?limit=1', token => $some))[1];

    is($pages, 5, 'also where that makes an empty page');


    # removal

    my $etag = $node->head('kv/n')->header('ETag');

    is($node->del('kv/n?prefix=', token => $token,
                  headers => { 'If-Match' => $etag })->status, 403,
       'more than may be written cannot be removed');

    my $reply = $node->del('kv/n?prefix=a', token => $some,
                           headers => { 'If-Match' => $etag });

    is($reply->json->{deleted}, 3, 'what may be written is removed');
    is($node->get('kv/n/a/2')->status, 200, 'and what may not stays');

    return;
}


sub test_commands {
    my ($node) = @_;

    my $reader = $node->token(can => ['read']);
    my $writer = $node->token(can => ['write']);

    is($node->put('kv/n/r', 'x', token => $reader)->status, 403,
       'who may read may not write');
    is($node->put('kv/n/w', '1', token => $writer)->status, 201,
       'who may write may write');
    is($node->get('kv/n/w', token => $writer)->status, 404,
       'and sees nothing');

    my $reply = $node->post('kv/n/w?op=incr', undef, token => $writer);

    is($reply->status, 204, 'a counter counts');
    is($reply->body, '', 'and does not tell its value');
    is($node->get('kv/n/w')->body, '2', 'but does count');
    is($node->del('kv/n/none', token => $writer)->status, 204,
       'what was not there is removed like what was');
    is($node->get('kv/n', token => $writer)->status, 404,
       'there is no list for a writer');

    my $none = $node->token(can => ['/room/read']);

    is($node->get('kv/n/w', token => $none)->status, 404,
       'rooms are another matter');


    # whoever runs the node

    is_deeply([ sort keys %{ $node->get('health', token => $reader)->json } ],
              [qw(adapter ok)], 'anybody sees that the store works');
    ok(exists $node->get('health',
                         token => $node->token(can => [$_]))->json->{commits},
       "who has $_ sees figures") for '/storage/admin', '/mesh/metrics';

    return;
}


sub test_invocation {
    my ($node) = @_;

    my $seed = Mesh::Test::slurp($node->data . '/mesh.key') =~ s/\s+\z//r;
    my $token = Mesh::Test::Mint->mint(<<"END")->{token};
key mesh seed=$seed
delegation d aud=ada cmd=/storage
invocation i iss=ada cmd=/storage/read args=ns:n prf=d nonce=invoked
container token list=d,i
END

    is($node->get('kv/no/x', token => $token)->status, 404,
       'an invocation is for what it names');

    return;
}
