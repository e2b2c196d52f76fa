#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Two writers that meet: conditions decide, and say what is there (RFC 9110,
# section 13); a namespace may want a condition with every write.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;


for my $adapter (Mesh::Test::Storage->adapters) {
    subtest $adapter => sub { test_conditions($adapter) };
}

done_testing;


sub test_conditions {
    my ($adapter) = @_;

    my $node = Mesh::Test::Storage->new(adapter => $adapter)->start;

    test_writes($node);
    test_reads($node);
    test_refusals($node);
    test_race($node);
    test_required($node);

    $node->stop;

    return;
}


sub put {
    my ($node, $key, @headers) = @_;

    return $node->put("kv/n/$key", 'x', headers => { @headers });
}


sub test_writes {
    my ($node) = @_;

    is(put($node, 'a', 'If-None-Match' => '*')->status, 201,
       'what is not there can be created');

    my $reply = put($node, 'a', 'If-None-Match' => '*');

    is($reply->status, 412, 'but not once more');
    is_deeply([ @{ $reply->json }{qw(error currentEtag)} ],
              [ 'precondition-failed', '"1"' ],
              'the problem says what is there');

    is(put($node, 'a', 'If-Match' => '"1"')->status, 204,
       'what was seen can be replaced');

    $reply = put($node, 'a', 'If-Match' => '"1"');

    is($reply->status, 412, 'but not twice');
    is($reply->json->{currentEtag}, '"2"', 'the problem has the new ETag');

    is(put($node, 'a', 'If-Match' => '*')->status, 204,
       '"*" is whatever is there');

    $reply = put($node, 'none', 'If-Match' => '*');

    is($reply->status, 412, 'and nothing is not');
    ok(!exists $reply->json->{currentEtag}, 'then there is no ETag to tell');

    is(put($node, 'a', 'If-Match' => $_)->status, 412,
       "$_ matches nothing") for 'W/"3"', '"03"', '"x"', '3', '""';

    $reply = $node->del('kv/n/a', headers => { 'If-Match' => '"2"' });

    is($reply->status, 412, 'what has changed is not removed');

    $reply = $node->del('kv/n/a', headers => { 'If-Match' => '"3"' });

    is($reply->status, 204, 'what was seen is');

    is($node->post('kv/n/count?op=incr',
                   undef, headers => { 'If-None-Match' => '*' })->status, 200,
       'a counter may begin on a condition');
    is($node->post('kv/n/count?op=incr',
                   undef, headers => { 'If-None-Match' => '*' })->status, 412,
       'once');

    return;
}


sub test_reads {
    my ($node) = @_;

    my $etag = put($node, 'read')->header('ETag');

    for my $list ($etag, "W/$etag", "\"0\", $etag", '*', "\"x\",$etag") {
        my $reply = $node->get('kv/n/read',
                               headers => { 'If-None-Match' => $list });

        is($reply->status, 304, "If-None-Match: $list: not modified");
        is($reply->header('ETag'), $etag, '... and the ETag is told');
        is($reply->body, '', '... and nothing is sent');
    }

    for my $list ('"0"', '"x"', 'junk', '"') {
        is($node->get('kv/n/read',
                      headers => { 'If-None-Match' => $list })->status,
           200, "If-None-Match: $list: sent");
    }

    is($node->get('kv/n/none', headers => { 'If-None-Match' => '*' })->status,
       404, 'nothing is 404 whatever the condition');

    return;
}


sub test_refusals {
    my ($node) = @_;

    my %refused = (
        'If-Match'      => [ '"1", "2"' ],
        'If-None-Match' => [ '"1"', '*, "1"' ],
        'Expires-After' => [ 0, -1, 'soon', 315360001, '1.5', '' ]);

    for my $name (sort keys %refused) {
        for my $value (@{ $refused{$name} }) {
            my $reply = put($node, 'a', $name => $value);

            is($reply->status, 400, "$name: $value is refused");
            like($reply->json->{detail}, qr/\Q$name\E/,
                 '... and the problem names it');
        }
    }

    is(put($node, 'a', 'If-Match' => '"1"', 'If-None-Match' => '*')->status,
       400, 'both conditions at once are refused');

    return;
}


# Of many who replace the same version one wins.

sub test_race {
    my ($node) = @_;

    my $etag = put($node, 'race')->header('ETag');
    my @pending = map {
        $node->begin(PUT => 'kv/n/race', body => "writer $_",
                     headers => { 'If-Match' => $etag })
    } 1 .. 16;

    my @status = map { $_->reply->status } @pending;

    is((grep { $_ == 204 } @status), 1, 'one of sixteen writers wins');
    is((grep { $_ == 412 } @status), 15, 'the others are told');

    @pending = map {
        $node->begin(PUT => 'kv/n/first', body => "writer $_",
                     headers => { 'If-None-Match' => '*' })
    } 1 .. 16;

    is((grep { $_->reply->status == 201 } @pending), 1,
       'one of sixteen creates');

    return;
}


sub test_required {
    my ($node) = @_;

    is($node->put('quota/strict', { requireCondition => \1 })->status, 200,
       'a namespace may want conditions');

    my $reply = $node->put('kv/strict/a', 'x');

    is($reply->status, 428, 'a write without one is refused');
    is($reply->json->{error}, 'precondition-required', 'and told why');

    $reply = $node->put('kv/strict/a', 'x',
                        headers => { 'If-None-Match' => '*' });

    is($reply->status, 201, 'with one it is done');
    is($node->del('kv/strict/a')->status, 428, 'a removal needs one too');
    is($node->get('kv/strict/a')->status, 200, 'and nothing was removed');
    is($node->del('kv/strict/a',
                  headers => { 'If-Match' => '*' })->status, 204,
       'with one it is removed');

    $node->put('quota/strict', { requireCondition => \0 });

    is($node->put('kv/strict/a', 'x')->status, 201,
       'when it wants none any more, none is needed');

    return;
}
