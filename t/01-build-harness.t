#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The harness fails a test by itself when nginx was not clean: what nobody
# would see otherwise, an alert, a crash, a sanitizer's report, a hang.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $lib = dirname(Cwd::realpath(__FILE__)) . '/lib';


# A test of its own, whose only assertion passes: (status, what it printed).

sub run_test {
    my ($lines, %env) = @_;

    my $file = File::Temp->new(SUFFIX => '.t');

    print {$file} <<"END";
use strict;
use warnings;
use Test::More;
use lib '$lib';
use Mesh::Test;

my \$nginx = Mesh::Test->new(server => q{
    location / { return 204; }
})->start;

is(\$nginx->get('/')->status, 204, 'it answers');
$lines
done_testing;
END
    $file->flush;

    my ($rc, $out, $err)
        = Mesh::Test::run([ $^X, $file->filename ], seconds => 120,
                          env => { MESH_TEST_BUILD =>
                                       Mesh::Test->output_folder, %env });

    return ($rc, $out . $err);
}

my ($rc, $text) = run_test('');

is($rc, 0, 'a clean nginx passes') or diag($text);

($rc, $text) = run_test('$nginx->reload; $nginx->kill_worker;');

is($rc, 0, 'so do a reload and a killed worker that the test asked for')
    or diag($text);

($rc, $text) = run_test(<<'END');
my ($worker) = $nginx->workers;
kill SEGV => $worker;
$nginx->wait_for(sub { !grep { $_ == $worker } $nginx->workers }, 20, 'it');
END

isnt($rc, 0, 'a worker that crashes fails the test');
like($text, qr/exited on signal 11|SEGV/, 'which says so');

($rc, $text) = run_test(<<'END');
$nginx->write_file('logs/sanitizer.123', "==123==ERROR: AddressSanitizer\n");
END

isnt($rc, 0, 'a report of a sanitizer fails the test');
like($text, qr/ERROR: AddressSanitizer/, 'which shows it');

($rc, $text) = run_test(<<'END');
$nginx->write_file('logs/error.log',
    $nginx->error_log . "2026/01/01 00:00:00 [alert] 1#1: something\n");
END

isnt($rc, 0, 'an alert in the log fails the test');
like($text, qr/\[alert\] 1#1: something/, 'which shows it');

($rc, $text) = run_test(<<'END');
kill STOP => $nginx->pid;
$nginx->stop(seconds => 1);
END

isnt($rc, 0, 'an nginx that does not stop fails the test');
like($text, qr/did not stop/, 'which says so');

my $pid_file = File::Temp->new;

($rc, $text) = run_test("\$nginx->write_file('x', ''); open my \$f, '>', '"
                        . $pid_file->filename . "'; print {\$f} "
                        . '$nginx->pid; close $f; kill KILL => $$;');

my $pid = Mesh::Test::slurp($pid_file->filename);

ok($pid > 0 && Mesh::Test->wait_for(sub { !kill 0, $pid }, 20, 'its end'),
   'a test that is killed leaves no nginx behind');

done_testing;
